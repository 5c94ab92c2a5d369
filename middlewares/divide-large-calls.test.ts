import { mkdtempSync } from "node:fs";
import { rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, expect, test } from "@jest/globals";
import { Errors, type ServiceBroker } from "moleculer";
import { microBatch } from "../lib/async/micro-batch.ts";
import { contract } from "../lib/contracts/contract.ts";
import { list, object, page, paging, range } from "../lib/contracts/schema.ts";
import { openBreakers } from "../lib/resilience/circuit-breakers.ts";
import { batchBytesOf, maxPayloadOf } from "../lib/resilience/message-size.ts";
import { defineService } from "../lib/service/define-service.ts";
import { readEnv } from "../lib/settings/env.ts";
import { createNode } from "../lib/settings/node.ts";
import { brokerOptions } from "../moleculer.config.ts";
import { eventually } from "../test/support/eventually.ts";
import { describeWith, type Server, startNats } from "../test/support/servers.ts";

const MAX_PAYLOAD = 256 * 1024;
const text = { type: "string" } as const;
const row = { id: text, text } as const;
const things = contract({
	name: "things",
	actions: {
		page: { params: paging, returns: page(row), page: true },
		resolve: { params: { ids: list(text) }, returns: list(object(row)), divide: { list: "ids" } },
		walk: { params: range, returns: list(object(row)), divide: { range: "id" } },
		store: { params: { rows: list(object(row)) }, returns: list(text) },
		single: { params: { bytes: { type: "number" } }, returns: { type: "any" } },
	},
});
const idOf = (n: number) => `019a0000-0000-7000-8000-${String(n).padStart(12, "0")}`;
const ROWS = Array.from({ length: 100 }, (_, n) => ({
	id: idOf(n),
	text: `${n} `.padEnd(10_000, "é"),
}));
const large = (bytes: number) => "x".repeat(bytes);

describeWith(["nats-server"], "messages larger than the limit of NATS", () => {
	let folder: string;
	let nats: Server;
	let caller: ServiceBroker;
	let node: ServiceBroker;
	/** Sizes of the calls that the node received. */
	const received: number[] = [];
	beforeAll(async () => {
		folder = mkdtempSync(join(tmpdir(), "moleculer-commerce-large-"));
		nats = await startNats(folder, { maxPayload: MAX_PAYLOAD });
		const service = defineService(things)({
			actions: {
				async page({ params: { skip, limit } }) {
					received.push(limit);
					return { rows: ROWS.slice(skip, skip + limit), total: ROWS.length };
				},
				async resolve({ params: { ids } }) {
					received.push(ids.length);
					return ids.map((id) => ROWS.find((one) => one.id === id)!);
				},
				async walk({ params: { after, limit } }) {
					received.push(limit);
					return ROWS.filter(({ id }) => id > after).slice(0, limit);
				},
				async store({ params: { rows } }) {
					received.push(rows.length);
					return rows.map(({ id }) => id);
				},
				async single({ params: { bytes } }) {
					if (bytes < 0)
						throw new Errors.MoleculerClientError("No", 400, "NO", { text: large(-bytes) });
					return large(bytes);
				},
			},
		});
		const start = async (...services: Parameters<typeof createNode>[2][number][]) => {
			const env = readEnv({
				NODE_ENV: "test",
				LOGLEVEL: "fatal",
				TRANSPORTER: nats.url,
				DRAIN_MS: "1",
			});
			const broker = createNode(brokerOptions(env), env, services);
			await broker.start();
			return broker;
		};
		[caller, node] = await Promise.all([start(), start(service)]);
		await caller.waitForServices("things");
	});
	afterAll(async () => {
		await Promise.all([caller?.stop(), node?.stop()]);
		await nats?.stop();
		await rm(folder, { recursive: true, force: true });
	});
	beforeEach(() => {
		received.length = 0;
	});
	const call = <R>(action: string, params: object) => caller.call<R, object>(action, params);
	const fails = { type: "MESSAGE_TOO_LARGE" };
	const works = () =>
		eventually(async () => expect(await call("things.single", { bytes: 1 })).toBe("x"));

	test("a node reads the server's maximum message size", () => {
		expect(maxPayloadOf(caller)).toBe(MAX_PAYLOAD);
		expect(batchBytesOf(caller)).toBeLessThan(MAX_PAYLOAD);
	});

	test("a request that is too large rejects its call and no other", async () => {
		const rows = [{ id: "1", text: large(MAX_PAYLOAD) }];
		const [refused, other] = await Promise.allSettled([
			call("things.store", { rows }),
			call("things.single", { bytes: 1 }),
		]);
		expect(refused).toMatchObject({ status: "rejected", reason: fails });
		expect(other).toEqual({ status: "fulfilled", value: "x" });
		expect(received).toEqual([]);
	});

	test("a result that is too large rejects its call and opens no breaker", async () => {
		for (let i = 0; i < 10; i++)
			await expect(call("things.single", { bytes: MAX_PAYLOAD })).rejects.toMatchObject(fails);
		expect(openBreakers(caller)).toEqual([]);
		await works();
	});

	test("an error that is too large is replaced by a small one", async () => {
		await expect(call("things.single", { bytes: -MAX_PAYLOAD })).rejects.toMatchObject(fails);
		await works();
	});

	test("a message of exactly the maximum size arrives, and one byte more fails", async () => {
		const envelope = async (bytes: number) =>
			call<string>("things.single", { bytes }).then(
				({ length }) => length,
				() => 0,
			);
		let [fitting, refused] = [0, MAX_PAYLOAD];
		while (refused - fitting > 1) {
			const middle = (fitting + refused) >> 1;
			if ((await envelope(middle)) === middle) fitting = middle;
			else refused = middle;
		}
		expect(MAX_PAYLOAD - fitting).toBeLessThan(1000);
	});

	test("a page that is too large is fetched in parts", async () => {
		expect(await call("things.page", { skip: 0, limit: 100 })).toEqual({ rows: ROWS, total: 100 });
		expect(Math.max(...received)).toBe(100);
		expect(received.length).toBeGreaterThan(3);
		expect(await call("things.page", { skip: 60, limit: 100 })).toEqual({
			rows: ROWS.slice(60),
			total: 100,
		});
		expect(await call("things.page", { skip: "10", limit: "80" })).toEqual({
			rows: ROWS.slice(10, 90),
			total: 100,
		});
		expect(await call("things.page", {})).toEqual({ rows: ROWS, total: 100 });
	});

	test("a list is resolved in parts, in order", async () => {
		const ids = ROWS.map(({ id }) => id).reverse();
		expect(await call("things.resolve", { ids })).toEqual([...ROWS].reverse());
		expect(await call("things.resolve", { ids: [] })).toEqual([]);
	});

	test("a range is read in parts", async () => {
		const after = idOf(9);
		expect(await call("things.walk", { after, upto: null, limit: 1000 })).toEqual(ROWS.slice(10));
		expect(await call("things.walk", { after, upto: null, limit: 50 })).toEqual(ROWS.slice(10, 60));
	});

	test("a single element that is too large is an error", async () => {
		const huge = { id: "huge", text: large(MAX_PAYLOAD) };
		ROWS.push(huge);
		try {
			await expect(call("things.resolve", { ids: ["huge"] })).rejects.toMatchObject(fails);
			await expect(call("things.page", { skip: 100, limit: 100 })).rejects.toMatchObject(fails);
		} finally {
			ROWS.pop();
		}
		await works();
	});

	test("a batch is limited to the message size; an underestimated one is divided", async () => {
		const send = (bytesOf: (value: { text: string }) => number) =>
			microBatch(
				(rows: { id: string; text: string }[]) => call<string[]>("things.store", { rows }),
				{
					maxBytes: () => batchBytesOf(caller),
					bytesOf,
				},
			);
		const sized = send(({ text }) => Buffer.byteLength(text) + 100);
		expect(await Promise.all(ROWS.map(sized))).toEqual(ROWS.map(({ id }) => id));
		const total = ROWS.reduce((sum, { text }) => sum + Buffer.byteLength(text), 0);
		expect(received.length).toBe(Math.ceil(total / MAX_PAYLOAD) + 1);
		received.length = 0;
		const wrong = send(() => 1);
		const results = await Promise.allSettled(
			[...ROWS, { id: "huge", text: large(MAX_PAYLOAD) }].map(wrong),
		);
		expect(results.filter(({ status }) => status === "fulfilled")).toHaveLength(100);
		expect(results.at(-1)).toMatchObject({ status: "rejected", reason: fails });
	});

	test("a message on a closed connection fails as an outage and ends no process", async () => {
		const { client } = (node.transit as unknown as { tx: { client: { close(): Promise<void> } } })
			.tx;
		await client.close();
		const { tx } = node.transit as unknown as {
			tx: { send(topic: string, data: Buffer, meta: object): Promise<void> };
		};
		await expect(tx.send("topic", Buffer.from("x"), {})).rejects.toMatchObject({
			type: "BAD_GATEWAY",
		});
	});
});
