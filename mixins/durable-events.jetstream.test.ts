import { mkdtempSync } from "node:fs";
import { cp, rename, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "@jest/globals";
import type { ServiceBroker, ServiceSchema } from "moleculer";
import { AckPolicy, connect, nanos } from "nats";
import { v7 as uuid } from "uuid";
import { runInTrace } from "../lib/context/traceparent.ts";
import { contract } from "../lib/contracts/contract.ts";
import type { Event } from "../lib/contracts/event.ts";
import { eventActions } from "../lib/contracts/event-actions.ts";
import { renderNodeMetrics } from "../lib/health/node-metrics.ts";
import type { Subscriptions } from "../lib/messaging/subscriptions.ts";
import type { Tx } from "../lib/persistence/database.ts";
import { defineService } from "../lib/service/define-service.ts";
import { readEnv } from "../lib/settings/env.ts";
import { createNode } from "../lib/settings/node.ts";
import { brokerOptions } from "../moleculer.config.ts";
import { orders } from "../services/orders/orders.contract.ts";
import { type Databases, makeDatabases } from "../test/support/databases.ts";
import { eventually } from "../test/support/eventually.ts";
import { describeWith, type Server, startNats } from "../test/support/servers.ts";
import { publisher, stub } from "../test/support/shop.ts";
import { expectTraces, tracedConsumer, traceOf } from "../test/support/traced-consumer.ts";
import { database, type HasDatabase } from "./database.mixin.ts";
import { durableEvents } from "./durable-events.mixin.ts";

describeWith(["nats-server"], "events on JetStream", () => {
	let folder: string;
	let nats: Server;
	let databases: Databases;
	let brokers: ServiceBroker[];
	/** Each test has its own stream. */
	let namespace: string;
	/** Milliseconds until NATS redelivers a message of a silent node. */
	let ackWait: number;
	beforeAll(async () => {
		folder = mkdtempSync(join(tmpdir(), "moleculer-commerce-stream-"));
		nats = await startNats(folder);
	});
	afterAll(async () => {
		await nats?.stop();
		await rm(folder, { recursive: true, force: true });
	});
	beforeEach(async () => {
		namespace = `t${uuid().slice(-8)}`;
		databases = await makeDatabases(["orders", "shipping", "payments"]);
		brokers = [];
		ackWait = 1500;
		for (const group of ["shipping", "payments"])
			await databases.query(
				group,
				"create table effects (event text not null, at bigint generated always as identity)",
			);
	});
	afterEach(async () => {
		await Promise.all(brokers.map((broker) => broker.stop()));
		await databases.drop();
	});

	async function start(...services: ServiceSchema[]): Promise<ServiceBroker> {
		const env = readEnv({
			NODE_ENV: "test",
			LOGLEVEL: "fatal",
			NAMESPACE: namespace,
			TRANSPORTER: nats.url,
			DATABASE_URL: databases.pattern,
			DATABASE_POOL: "4",
			EVENT_BACKOFF: "0.01",
			EVENT_ACK_WAIT_MS: String(ackWait),
			EVENT_STREAM_MB: "16",
		});
		const broker = createNode(brokerOptions(env), env, services);
		brokers.push(broker);
		await broker.start();
		return broker;
	}
	const stop = async (broker: ServiceBroker) => {
		brokers = brokers.filter((one) => one !== broker);
		await broker.stop();
	};
	const producer = () => stub(orders, {}, database, durableEvents);
	const recordEffects = async (tx: Tx, found: readonly Event[]) => {
		await tx.query("insert into effects (event) select unnest($1::text[])", [
			found.map(({ subject, type }) => `${type} ${subject}`),
		]);
	};
	const consumer = (
		name: "shipping" | "payments",
		subscriptions: Subscriptions<HasDatabase> = { "order.*": recordEffects },
	) => {
		const group = contract({ name, actions: { ...eventActions } });
		return defineService(group)({
			mixins: [database, durableEvents],
			subscriptions: subscriptions,
			actions: {},
		});
	};
	const effects = async (group = "shipping") =>
		(await databases.query<{ event: string }>(group, "select event from effects order by at")).map(
			({ event }) => event,
		);
	const eventData = () => ({ order_id: uuid(), user_id: uuid(), total_amount: 1, currency: "EUR" });
	const publishTo = (broker: ServiceBroker) => {
		const publish = publisher(broker, "orders");
		return (type: "order.created" | "order.confirmed" | "order.shipped", id: string) =>
			publish(type, id, eventData());
	};
	const ids = (count: number) => Array.from({ length: count }, () => uuid());

	test("calls and events of a handler are in the trace of its event", async () => {
		const source = await start(producer());
		await start(...tracedConsumer());
		const all = ids(20);
		for (const id of all)
			await runInTrace(traceOf(id), () => publishTo(source)("order.created", id));
		await expectTraces(databases, all);
	});

	test("every group processes each event once, on one of its nodes, in the order of writing", async () => {
		const source = await start(producer());
		await Promise.all([
			start(consumer("shipping")),
			start(consumer("shipping")),
			start(consumer("payments")),
		]);
		const all = ids(50);
		for (const id of all) await publishTo(source)("order.created", id);
		for (const id of all) await publishTo(source)("order.confirmed", id);
		for (const group of ["shipping", "payments"])
			await eventually(async () => expect(await effects(group)).toHaveLength(100));
		const received = await effects("payments");
		for (const id of all)
			expect(received.indexOf(`order.created ${id}`)).toBeLessThan(
				received.indexOf(`order.confirmed ${id}`),
			);
		expect(new Set(await effects()).size).toBe(100);
	});

	test("events published without consumers or without NATS are delivered later", async () => {
		const source = await start(producer());
		const first = await start(consumer("shipping"));
		await stop(first);
		const [before, during] = ids(2) as [string, string];
		await publishTo(source)("order.created", before);
		await nats.process.kill();
		await publishTo(source)("order.created", during);
		await nats.restart();
		await start(consumer("shipping"));
		await eventually(
			async () =>
				expect((await effects()).sort()).toEqual(
					[`order.created ${before}`, `order.created ${during}`].sort(),
				),
			20,
		);
	});

	test("a lost stream is refilled from the outbox without repeated effects", async () => {
		const source = await start(producer());
		await start(consumer("shipping"));
		const early = ids(20);
		for (const id of early) await publishTo(source)("order.created", id);
		await eventually(async () => expect(await effects()).toHaveLength(20));
		await nats.process.kill();
		await rm(join(folder, "jetstream"), { recursive: true, force: true });
		const late = ids(5);
		for (const id of late) await publishTo(source)("order.created", id);
		await nats.restart();
		// A new group receives all events, although the first stream is lost.
		await start(consumer("payments"));
		await eventually(async () => expect(await effects("payments")).toHaveLength(25), 25);
		await eventually(async () => expect(await effects()).toHaveLength(25), 25);
	}, 60_000);

	test("a stream that was lost during idle time is refilled for a later group", async () => {
		const source = await start(producer());
		const all = ids(20);
		for (const id of all) await publishTo(source)("order.created", id);
		await start(consumer("payments"));
		await eventually(async () => expect(await effects("payments")).toHaveLength(20));
		await nats.process.kill();
		await rm(join(folder, "jetstream"), { recursive: true, force: true });
		await nats.restart();
		await start(consumer("shipping"));
		await eventually(
			async () =>
				expect((await effects()).sort()).toEqual(all.map((id) => `order.created ${id}`).sort()),
			30,
		);
	}, 60_000);

	test.each([
		["an idle", 0],
		["a busy", 5],
	])(
		"a stream restored from a backup is refilled from the outbox of %s relay",
		async (_, more) => {
			const source = await start(producer());
			await start(consumer("shipping"));
			const [early, late, later] = [ids(10), ids(10), ids(more)];
			const waitForEffects = async (group: string, all: readonly string[]) =>
				eventually(
					async () =>
						expect((await effects(group)).sort()).toEqual(
							all.map((id) => `order.created ${id}`).sort(),
						),
					30,
				);
			for (const id of early) await publishTo(source)("order.created", id);
			await waitForEffects("shipping", early);
			await nats.process.kill();
			await cp(join(folder, "jetstream"), join(folder, "backup"), { recursive: true });
			await nats.restart();
			for (const id of late) await publishTo(source)("order.created", id);
			await waitForEffects("shipping", [...early, ...late]);
			await nats.process.kill();
			await rm(join(folder, "jetstream"), { recursive: true, force: true });
			await rename(join(folder, "backup"), join(folder, "jetstream"));
			// Events published before the loss is detected get the sequences of lost ones.
			for (const id of later) await publishTo(source)("order.created", id);
			await nats.restart();
			await start(consumer("payments"));
			await waitForEffects("payments", [...early, ...late, ...later]);
			await waitForEffects("shipping", [...early, ...late, ...later]);
		},
		90_000,
	);

	test("events are published in few batches that keep each subject's order", async () => {
		const all = ids(300);
		const written = all.flatMap((id) => [`order.created ${id}`, `order.confirmed ${id}`]);
		await start(producer());
		const lines = written.map((line) => line.split(" "));
		await databases.query(
			"orders",
			"insert into outbox (type, subject, data) select t, s, $3 from unnest($1::text[], $2::text[]) w(t, s)",
			[
				lines.map(([type]) => type),
				lines.map(([, id]) => id),
				JSON.stringify({ ...eventData(), note: "x".repeat(1000) }),
			],
		);
		await start(consumer("shipping"));
		await eventually(async () => expect(await effects()).toHaveLength(600), 20);
		const received = await effects();
		for (const id of all)
			expect(received.indexOf(`order.created ${id}`)).toBeLessThan(
				received.indexOf(`order.confirmed ${id}`),
			);
		const connection = await connect({ servers: nats.url });
		const { state } = await (await connection.jetstreamManager()).streams.info(
			`EVENTS-${namespace}`,
		);
		// Two polls of the outbox, 128 KiB per message.
		expect(state.messages).toBeGreaterThanOrEqual(6);
		expect(state.messages).toBeLessThanOrEqual(10);
		await connection.close();
	});

	test("single events are accepted, and redelivered batches take effect once", async () => {
		await start(producer());
		await start(consumer("shipping"));
		const connection = await connect({ servers: nats.url });
		const send = (body: unknown) =>
			eventually(() =>
				connection.jetstream().publish(`${namespace}.events.order.created`, JSON.stringify(body)),
			);
		const [one, two, three] = ids(3).map((subject, i) => ({
			id: uuid(),
			type: "order.created",
			subject,
			sequence: `${i}`,
		}));
		for (const body of [one, [one, two], [two, one, three], []]) await send(body);
		await eventually(async () =>
			expect(await effects()).toEqual(
				[one, two, three].map((event) => `order.created ${event!.subject}`),
			),
		);
		await connection.close();
	});

	test("an invalid element of a batch becomes a dead letter by itself", async () => {
		await start(producer());
		const broker = await start(consumer("shipping"));
		const connection = await connect({ servers: nats.url });
		const [one, two] = ids(2).map((subject, i) => ({
			id: uuid(),
			type: "order.created",
			subject,
			sequence: `${i}`,
		}));
		const mixed = JSON.stringify([one, { id: "7" }, two]);
		// Delivered twice, it is still one dead letter.
		for (let time = 0; time < 2; time++)
			await connection.jetstream().publish(`${namespace}.events.order.created`, mixed);
		await connection.close();
		await eventually(async () =>
			expect(await effects()).toEqual([
				`order.created ${one!.subject}`,
				`order.created ${two!.subject}`,
			]),
		);
		await eventually(async () =>
			expect(await broker.call("shipping.eventFigures")).toMatchObject({ pending: 0 }),
		);
		const letters = (await broker.call("shipping.deadLetters")) as { event_id: string }[];
		expect(letters).toHaveLength(1);
		expect(
			await broker.call("shipping.deadLetter", { event_id: letters[0]!.event_id }),
		).toMatchObject({
			event: { text: '{"id":"7"}' },
			error: "It has no type, or no UUID as its id",
		});
	});

	test("an invalid message becomes a dead letter immediately and delays no others", async () => {
		const source = await start(producer());
		const broker = await start(consumer("shipping"));
		const connection = await connect({ servers: nats.url });
		await connection.jetstream().publish(`${namespace}.events.order.created`, "{ not JSON");
		await connection.close();
		const id = uuid();
		await publishTo(source)("order.created", id);
		await eventually(async () => expect(await effects()).toEqual([`order.created ${id}`]));
		const letters = await eventually(async () => {
			const found = (await broker.call("shipping.deadLetters")) as {
				event_id: string;
				error: string;
			}[];
			expect(found).toHaveLength(1);
			return found;
		});
		expect(letters[0]!.error).toMatch(/JSON/);
		expect(
			await broker.call("shipping.deadLetter", { event_id: letters[0]!.event_id }),
		).toMatchObject({ event: { text: "{ not JSON" } });
	});

	test("a dead letter is retried on request and takes effect once", async () => {
		let broken = true;
		const source = await start(producer());
		const broker = await start(
			consumer("shipping", {
				"order.created": async (tx, found) => {
					if (broken) throw new Error("Not today");
					await recordEffects(tx, found);
				},
				"order.confirmed": recordEffects,
			}),
		);
		const [poison, good] = ids(2) as [string, string];
		await publishTo(source)("order.created", poison);
		await publishTo(source)("order.confirmed", good);
		await eventually(async () => expect(await effects()).toEqual([`order.confirmed ${good}`]));
		const figures = () =>
			broker.call("shipping.eventFigures") as Promise<{
				dead_letters: number;
				retries: number;
				pending: number;
			}>;
		await eventually(async () =>
			expect(await figures()).toMatchObject({ dead_letters: 1, retries: 0, pending: 0 }),
		);
		expect(await renderNodeMetrics(broker)).toContain(
			'# TYPE shop_dead_letters gauge\nshop_dead_letters{service="shipping"} 1\n',
		);
		expect(await renderNodeMetrics(source)).toMatch(
			/^shop_outbox_backlog_events\{service="orders"\} \d+$/m,
		);
		const [letter] = (await broker.call("shipping.deadLetters", { type: "order.*" })) as {
			subject: string;
			event_id: string;
			attempts: number;
		}[];
		expect(letter).toMatchObject({ subject: poison, attempts: 2, error: "Not today" });
		await expect(broker.call("shipping.retryDeadLetters", {})).rejects.toMatchObject({
			type: "VALIDATION_ERROR",
		});
		broken = false;
		expect(await broker.call("shipping.retryDeadLetters", { type: "order.created" })).toEqual({
			count: 1,
		});
		await eventually(async () =>
			expect(await effects()).toEqual([`order.confirmed ${good}`, `order.created ${poison}`]),
		);
		expect(await figures()).toMatchObject({ dead_letters: 0 });
	});

	test("a discarded dead letter is deleted", async () => {
		const source = await start(producer());
		const refuse = async () => Promise.reject(new Error("Never"));
		const broker = await start(consumer("shipping", { "order.created": refuse }));
		await publishTo(source)("order.created", uuid());
		const [letter] = await eventually(async () => {
			const found = (await broker.call("shipping.deadLetters")) as { event_id: string }[];
			expect(found).toHaveLength(1);
			return found;
		});
		expect(
			await broker.call("shipping.discardDeadLetters", { event_id: letter!.event_id }),
		).toEqual({ count: 1 });
		await expect(
			broker.call("shipping.deadLetter", { event_id: letter!.event_id }),
		).rejects.toMatchObject({
			type: "DEAD_LETTER_NOT_FOUND",
		});
	});

	test("a slow handler extends its message's deadline", async () => {
		const { promise: gate, resolve: open } = Promise.withResolvers<void>();
		const source = await start(
			producer(),
			consumer("shipping", {
				"order.created": async (tx, found) => {
					await gate;
					await recordEffects(tx, found);
				},
			}),
		);
		const id = uuid();
		await publishTo(source)("order.created", id);
		const connection = await connect({ servers: nats.url });
		const api = await connection.jetstreamManager();
		const stream = `EVENTS-${namespace}`;
		const silent = {
			durable_name: "silent",
			ack_policy: AckPolicy.Explicit,
			ack_wait: nanos(ackWait),
		};
		await eventually(() => api.consumers.add(stream, silent));
		// A silent consumer gets its message again, which shows that the deadline has passed.
		const watch = await connection.jetstream().consumers.get(stream, "silent");
		for await (const message of await watch.consume()) if (message.info.deliveryCount > 2) break;
		expect(await api.consumers.info(stream, "shipping-order-created")).toMatchObject({
			num_ack_pending: 1,
			num_redelivered: 0,
		});
		open();
		await eventually(async () => expect(await effects()).toEqual([`order.created ${id}`]));
		await connection.close();
	});

	test("a stopping node finishes current events and returns the others immediately", async () => {
		ackWait = 120_000;
		const { promise: gate, resolve: open } = Promise.withResolvers<void>();
		const begun: string[] = [];
		const source = await start(producer());
		const leaving = await start(
			consumer("shipping", {
				"order.created": async (tx, found) => {
					begun.push(...found.map(({ subject }) => subject));
					await gate;
					await recordEffects(tx, found);
				},
			}),
		);
		const [first, ...rest] = ids(20) as [string, ...string[]];
		await publishTo(source)("order.created", first);
		await eventually(() => expect(begun).toEqual([first]));
		for (const id of rest) await publishTo(source)("order.created", id);
		const connection = await connect({ servers: nats.url });
		const api = await connection.jetstreamManager();
		const info = () => api.consumers.info(`EVENTS-${namespace}`, "shipping-order-created");
		await eventually(async () =>
			expect(await source.call("orders.eventFigures")).toMatchObject({ backlog: 0 }),
		);
		await eventually(async () =>
			expect(await info()).toMatchObject({ num_pending: 0, num_waiting: 1 }),
		);
		const left = stop(leaving);
		await eventually(async () => expect(await info()).toMatchObject({ num_waiting: 0 }));
		open();
		await left;
		expect(await effects()).toEqual([`order.created ${first}`]);
		await start(consumer("shipping", { "order.created": recordEffects }));
		await eventually(async () =>
			expect((await effects()).sort()).toEqual(
				[first, ...rest].map((id) => `order.created ${id}`).sort(),
			),
		);
		await connection.close();
	});

	test("a replay filters by time, type and group, and repeats no effect", async () => {
		const source = await start(producer());
		await start(consumer("shipping", { "order.created": recordEffects }));
		const [id, other] = ids(2) as [string, string];
		await publishTo(source)("order.created", id);
		await publishTo(source)("order.confirmed", other);
		await eventually(async () => expect(await effects()).toEqual([`order.created ${id}`]));
		const replay = (params: object) =>
			source.call("orders.replayEvents", params) as Promise<{ count: number }>;
		expect(await replay({})).toEqual({ count: 2 });
		expect(await replay({ type: "order.confirmed" })).toEqual({ count: 1 });
		// Nodes discover each other with a delay.
		await eventually(async () => expect(await replay({ group: "shipping" })).toEqual({ count: 1 }));
		expect(await replay({ since: new Date(Date.now() + 60_000).toISOString() })).toEqual({
			count: 0,
		});
		await expect(replay({ since: "yesterday" })).rejects.toMatchObject({
			type: "VALIDATION_ERROR",
		});
		await expect(replay({ group: "nobody" })).rejects.toMatchObject({ type: "VALIDATION_ERROR" });
		// Without its receipt, the event takes effect again.
		await databases.query("shipping", "delete from inbox");
		expect(await replay({ type: "order.*" })).toEqual({ count: 2 });
		await eventually(async () =>
			expect(await effects()).toEqual([`order.created ${id}`, `order.created ${id}`]),
		);
	});
});
