import { mkdtempSync } from "node:fs";
import { rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "@jest/globals";
import type { ServiceBroker, ServiceSchema } from "moleculer";
import { connect } from "nats";
import { v7 as uuid } from "uuid";
import { contract } from "../lib/contracts/contract.ts";
import type { Event } from "../lib/contracts/event.ts";
import { eventActions } from "../lib/contracts/event-actions.ts";
import type { Tx } from "../lib/persistence/database.ts";
import { defineService } from "../lib/service/define-service.ts";
import { readEnv } from "../lib/settings/env.ts";
import { createNode } from "../lib/settings/node.ts";
import { brokerOptions } from "../moleculer.config.ts";
import { orders } from "../services/orders/orders.contract.ts";
import { type Databases, makeDatabases } from "../test/support/databases.ts";
import { eventually } from "../test/support/eventually.ts";
import { describeWith, type Server, startNats } from "../test/support/servers.ts";
import { stub } from "../test/support/shop.ts";
import { database } from "./database.mixin.ts";
import { durableEvents } from "./durable-events.mixin.ts";

const GROUPS = ["shipping", "payments", "inventory"] as const;
type Group = (typeof GROUPS)[number];
/** Bytes of an event, and the number of events that need three times the store. */
const EVENT_BYTES = 5000;
const FLOOD = (3 * 2 ** 20) / EVENT_BYTES;

describeWith(["nats-server"], "events on a JetStream server with a store of 1 MB", () => {
	let folder: string;
	let nats: Server;
	let databases: Databases;
	let brokers: ServiceBroker[];
	beforeAll(async () => {
		folder = mkdtempSync(join(tmpdir(), "moleculer-commerce-full-store-"));
		nats = await startNats(folder, undefined, "1MB");
	});
	afterAll(async () => {
		await nats?.stop();
		await rm(folder, { recursive: true, force: true });
	});
	beforeEach(async () => {
		brokers = [];
		databases = await makeDatabases(["orders", ...GROUPS]);
		for (const group of GROUPS)
			await databases.query(
				group,
				"create table effects (event text not null, at bigint generated always as identity)",
			);
	});
	afterEach(async () => {
		await Promise.all(brokers.map((broker) => broker.stop()));
		await databases.drop();
		const connection = await connect({ servers: nats.url });
		await (await connection.jetstreamManager()).streams.delete("EVENTS");
		await connection.close();
	});

	async function start(service: ServiceSchema): Promise<ServiceBroker> {
		const env = readEnv({
			NODE_ENV: "test",
			LOGLEVEL: "fatal",
			TRANSPORTER: nats.url,
			DATABASE_URL: databases.pattern,
			DATABASE_POOL: "4",
			EVENT_BACKOFF: "0.01",
		});
		const broker = createNode(brokerOptions(env), env, [service]);
		brokers.push(broker);
		await broker.start();
		return broker;
	}
	const stop = async (broker: ServiceBroker) => {
		brokers = brokers.filter((one) => one !== broker);
		await broker.stop();
	};
	const producer = () => stub(orders, {}, database, durableEvents);
	const note = async (tx: Tx, found: readonly Event[]) => {
		await tx.query("insert into effects (event) select unnest($1::text[])", [
			found.map(({ subject }) => subject),
		]);
	};
	const consumer = (
		name: Group,
		handle: (tx: Tx, found: readonly Event[]) => Promise<void> = note,
	) => {
		const group = contract({ name, actions: { ...eventActions } });
		return defineService(group)({
			mixins: [database, durableEvents],
			subscriptions: { "order.*": handle },
			actions: {},
		});
	};
	/** Writes events to the outbox, which its relay reads within a second. */
	async function write(count: number, bytes = EVENT_BYTES): Promise<string[]> {
		const subjects = Array.from({ length: Math.ceil(count) }, () => uuid());
		await databases.query(
			"orders",
			"insert into outbox (type, subject, data) select 'order.created', unnest($1::text[]), $2",
			[
				subjects,
				JSON.stringify({
					order_id: uuid(),
					user_id: uuid(),
					total_amount: 1,
					currency: "EUR",
					note: "x".repeat(bytes),
				}),
			],
		);
		return subjects;
	}
	const haveEffect = (group: Group, subjects: readonly string[]) =>
		eventually(async () => {
			const rows = await databases.query<{ event: string }>(group, "select event from effects");
			expect(rows.map(({ event }) => event).sort()).toEqual([...subjects].sort());
		}, 60);

	test("events beyond the store's size take effect once in active, absent and new groups", async () => {
		await start(producer());
		await start(consumer("shipping"));
		const away = await start(consumer("payments"));
		const few = await write(5);
		for (const group of ["shipping", "payments"] as const) await haveEffect(group, few);
		await stop(away);
		const flood = await write(FLOOD);
		await haveEffect("shipping", [...few, ...flood]);
		await start(consumer("payments"));
		await start(consumer("inventory"));
		for (const group of GROUPS) await haveEffect(group, [...few, ...flood]);
		const more = await write(5);
		for (const group of GROUPS) await haveEffect(group, [...few, ...flood, ...more]);
	}, 180_000);

	test("the stream stays below the store's size and discards its oldest messages", async () => {
		await start(producer());
		await write(FLOOD);
		const connection = await connect({ servers: nats.url });
		const { streams } = await connection.jetstreamManager();
		const { config, state } = await eventually(async () => {
			const info = await streams.info("EVENTS");
			expect(info.state.first_seq).toBeGreaterThan(1);
			return info;
		}, 30);
		await connection.close();
		expect(config).toMatchObject({
			discard: "old",
			max_bytes: 512 * 1024,
			max_age: 24 * 3600 * 1e9,
		});
		expect(state.bytes).toBeLessThanOrEqual(512 * 1024);
	}, 60_000);

	test("statistics show the unread share of the stream before messages are discarded", async () => {
		const { promise: gate, resolve: open } = Promise.withResolvers<void>();
		await start(producer());
		const slow = await start(
			consumer("shipping", async (tx, found) => {
				await gate;
				await note(tx, found);
			}),
		);
		const share = async () =>
			((await slow.call("shipping.eventFigures")) as { unread_share: number }).unread_share;
		await eventually(async () => expect(await share()).toBe(0));
		const subjects = await write(60);
		await eventually(async () => expect(await share()).toBeGreaterThan(0.5), 20);
		open();
		await haveEffect("shipping", subjects);
		await eventually(async () => expect(await share()).toBe(0));
	}, 60_000);
});
