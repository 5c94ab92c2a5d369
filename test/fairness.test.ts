import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import { v7 as uuid } from "uuid";
import { microBatch } from "../lib/async/micro-batch.ts";
import { type Call, contract } from "../lib/contracts/contract.ts";
import type { Event } from "../lib/contracts/event.ts";
import { createInbox } from "../lib/messaging/inbox.ts";
import { Database, databaseUrl } from "../lib/persistence/database.ts";
import { passwords } from "../lib/security/passwords.ts";
import { defineService } from "../lib/service/define-service.ts";
import { readEnv } from "../lib/settings/env.ts";
import { createNode } from "../lib/settings/node.ts";
import { brokerOptions } from "../moleculer.config.ts";
import { expire } from "../services/inventory/inventory.expiry.ts";
import { type Databases, makeDatabases } from "./support/databases.ts";
import { expectFair, steadyLoad } from "./support/steady-load.ts";

// Every bounded resource, with more concurrent requests than it can serve.

test.each(["bcrypt", "bcryptjs"])(
	"password hashing with %s starves no request",
	async (implementation) => {
		const { hash, matches, close } = passwords({
			// Long hashes: while a thread is suspended, the other one computes few.
			cost: 6,
			javascript: implementation === "bcryptjs",
		});
		const hashed = await hash("correct horse");
		let n = 0;
		expectFair(
			await steadyLoad(8, 600, () =>
				n++ % 2 ? hash("correct horse") : matches("correct horse", hashed),
			),
			{ threads: 2 },
		);
		await close();
	},
);

test("a bulkhead starves no call", async () => {
	const nextTurn = () => new Promise((resolve) => setImmediate(resolve));
	const things = contract({
		name: "things",
		actions: {
			make: { params: {}, returns: { type: "any" }, bulkhead: { concurrency: 2, queue: 100 } },
		},
	});
	const env = readEnv({ LOGLEVEL: "fatal", NODE_ENV: "test" });
	const broker = createNode(brokerOptions(env), env, [
		defineService(things)({ actions: { make: nextTurn as never } }),
	]);
	await broker.start();
	expectFair(await steadyLoad(16, 960, () => broker.call("things.make")));
	await broker.stop();
});

test.each([1, 3])("a micro-batch starves no element, with %i lanes", async (concurrency) => {
	const runBatch = async (values: number[]) => {
		await new Promise((resolve) => setImmediate(resolve));
		// One element in eight fails its batch, which is then split.
		if (values.length > 1 && values.some((value) => value % 8 === 0)) throw new Error("rejected");
		return values;
	};
	const add = microBatch(runBatch, { maxSize: 4, concurrency });
	let n = 0;
	expectFair(await steadyLoad(16, 640, () => add(++n)));
});

describe("on Postgres", () => {
	let databases: Databases;
	let db: Database;
	beforeAll(async () => {
		databases = await makeDatabases(["users", "inventory"]);
		db = new Database({ url: databaseUrl(databases.pattern, "users"), poolSize: 1 });
	});
	afterAll(async () => {
		await db?.close();
		await databases?.drop();
	});

	test("a connection pool starves no query, transaction or model", async () => {
		await db.query("select 1");
		let n = 0;
		const kinds = [
			() => db.query("select 1"),
			() => db.transaction((tx) => tx.query("select 1")),
			() => db.sequelize.query("select 1"),
		];
		expectFair(await steadyLoad(12, 900, () => kinds[n++ % kinds.length]!()));
	});

	test("events that always fail do not delay the retry of other events", async () => {
		const failing = new Set<string>();
		const event = (subject: string) =>
			({
				specversion: "1.0",
				id: uuid(),
				source: "/users",
				type: "user.updated",
				subject,
				data: {},
				sequence: String(failing.size),
			}) as unknown as Event;
		const done: string[] = [];
		const { accept, retry } = createInbox({
			db,
			group: "group",
			patterns: ["user.*"],
			// Events are due again at once, without a limit on attempts.
			backoff: Array(1000).fill(0),
			async handle(_tx, events) {
				for (const { subject } of events) {
					if (failing.has(subject)) throw new Error("rejected");
					done.push(subject);
				}
			},
			onFailure: () => undefined,
			closing: () => false,
		});
		for (let n = 0; n < 200; n++) {
			failing.add(`poison ${n}`);
			await accept([event(`poison ${n}`)]);
		}
		failing.add("good");
		await accept([event("good")]);
		failing.delete("good");
		for (let turn = 0; turn < 5; turn++) await retry();
		expect(done).toEqual(["good"]);
	});

	test("reservations of open orders do not delay the release of an abandoned one", async () => {
		const inventory = new Database({
			url: databaseUrl(databases.pattern, "inventory"),
			poolSize: 2,
		});
		const held = Array.from({ length: 1200 }, () => uuid());
		const abandoned = held.at(-1)!;
		await inventory.query(
			`insert into reservations (order_id, status, product_ids, quantities, expires_at)
			select id, 'held', '{}', '{}', now() - interval '1 hour' + n * interval '1 ms'
			from unnest($1::uuid[]) with ordinality as o(id, n)`,
			[held],
		);
		const released: string[] = [];
		const sweep = () =>
			expire({
				db: inventory,
				call: (async (_: string, { order_ids }: { order_ids: string[] }) =>
					order_ids.map((id) => (id === abandoned ? "unknown" : "open"))) as unknown as Call,
				seconds: 0,
				async release(orders) {
					released.push(...orders.map(({ order_id }) => order_id));
					return orders.map(() => ({ status: "done" as const }));
				},
			});
		for (let turn = 0; turn < 3; turn++) await sweep();
		await inventory.close();
		expect(released).toEqual([abandoned]);
	});
});
