import { cp, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "@jest/globals";
import { AckPolicy, connect, nanos } from "nats";
import { v7 as uuid } from "uuid";
import { runInTrace } from "../lib/context/traceparent.ts";
import { eventually } from "../test/support/eventually.ts";
import { describeWith } from "../test/support/servers.ts";
import { expectTraces, tracedConsumer, traceOf } from "../test/support/traced-consumer.ts";
import {
	consumer,
	eventData,
	eventNodes,
	makeIds,
	orderPublisher,
	producer,
	recordEffects,
} from "./durable-events/test/event-nodes.ts";

/** Milliseconds until NATS redelivers a message of a silent node. */
const ACK_WAIT = 1500;

describeWith(["nats-server"], "events on JetStream", () => {
	const nodes = eventNodes({
		producers: ["orders"],
		groups: ["shipping", "payments"],
		nats: {},
		settings: { EVENT_ACK_WAIT_MS: String(ACK_WAIT), EVENT_STREAM_MB: "16" },
	});

	test("calls and events of a handler are in the trace of its event", async () => {
		const source = await nodes.start([producer()]);
		await nodes.start(tracedConsumer());
		const all = makeIds(20);
		for (const id of all)
			await runInTrace(traceOf(id), () => orderPublisher(source)("order.created", id));
		await expectTraces(nodes.databases, all);
	});

	test("every group processes each event once, on one of its nodes, in order", async () => {
		const source = await nodes.start([producer()]);
		await Promise.all([
			nodes.start([consumer("shipping")]),
			nodes.start([consumer("shipping")]),
			nodes.start([consumer("payments")]),
		]);
		const all = makeIds(50);
		for (const id of all) await orderPublisher(source)("order.created", id);
		for (const id of all) await orderPublisher(source)("order.confirmed", id);
		for (const group of ["shipping", "payments"])
			await eventually(async () => expect(await nodes.effects(group)).toHaveLength(100));
		const received = await nodes.effects("payments");
		for (const id of all)
			expect(received.indexOf(`order.created ${id}`)).toBeLessThan(
				received.indexOf(`order.confirmed ${id}`),
			);
		expect(new Set(await nodes.effects()).size).toBe(100);
	});

	test("events of types that only a newer version declares are published", async () => {
		await nodes.start([producer()]);
		await nodes.start([consumer("shipping")]);
		await nodes.databases.query(
			"orders",
			"insert into outbox (type, subject, data) values ('order.future', '1', '{}')",
		);
		await eventually(async () => expect(await nodes.effects()).toEqual(["order.future 1"]));
	});

	test("events published without consumers or without NATS are delivered later", async () => {
		const source = await nodes.start([producer()]);
		const first = await nodes.start([consumer("shipping")]);
		await nodes.stop(first);
		const [before, during] = makeIds(2) as [string, string];
		await orderPublisher(source)("order.created", before);
		await nodes.nats.process.kill();
		await orderPublisher(source)("order.created", during);
		await nodes.nats.restart();
		await nodes.start([consumer("shipping")]);
		await eventually(async () =>
			expect((await nodes.effects()).sort()).toEqual(
				[`order.created ${before}`, `order.created ${during}`].sort(),
			),
		);
	});

	test("a lost stream is refilled from the outbox without repeated effects", async () => {
		const source = await nodes.start([producer()]);
		await nodes.start([consumer("shipping")]);
		const early = makeIds(20);
		for (const id of early) await orderPublisher(source)("order.created", id);
		await eventually(async () => expect(await nodes.effects()).toHaveLength(20));
		await nodes.nats.process.kill();
		await rm(join(nodes.folder, "jetstream"), { recursive: true, force: true });
		const late = makeIds(5);
		for (const id of late) await orderPublisher(source)("order.created", id);
		await nodes.nats.restart();
		// A new group receives all events, although the first stream is lost.
		await nodes.start([consumer("payments")]);
		await eventually(async () => expect(await nodes.effects("payments")).toHaveLength(25));
		await eventually(async () => expect(await nodes.effects()).toHaveLength(25));
	});

	test("a stream that was lost during idle time is refilled for a later group", async () => {
		const source = await nodes.start([producer()]);
		const all = makeIds(20);
		for (const id of all) await orderPublisher(source)("order.created", id);
		await nodes.start([consumer("payments")]);
		await eventually(async () => expect(await nodes.effects("payments")).toHaveLength(20));
		await nodes.nats.process.kill();
		await rm(join(nodes.folder, "jetstream"), { recursive: true, force: true });
		await nodes.nats.restart();
		await nodes.start([consumer("shipping")]);
		await eventually(async () =>
			expect((await nodes.effects()).sort()).toEqual(all.map((id) => `order.created ${id}`).sort()),
		);
	});

	test.each([
		["an idle", 0],
		["a busy", 5],
	])("a stream restored from a backup is refilled from the outbox of %s relay", async (_, more) => {
		const source = await nodes.start([producer()]);
		await nodes.start([consumer("shipping")]);
		const [early, late, later] = [makeIds(10), makeIds(10), makeIds(more)];
		const waitForEffects = async (group: string, all: readonly string[]) =>
			eventually(async () =>
				expect((await nodes.effects(group)).sort()).toEqual(
					all.map((id) => `order.created ${id}`).sort(),
				),
			);
		for (const id of early) await orderPublisher(source)("order.created", id);
		await waitForEffects("shipping", early);
		await nodes.nats.process.kill();
		await cp(join(nodes.folder, "jetstream"), join(nodes.folder, "backup"), { recursive: true });
		await nodes.nats.restart();
		for (const id of late) await orderPublisher(source)("order.created", id);
		await waitForEffects("shipping", [...early, ...late]);
		await nodes.nats.process.kill();
		await rm(join(nodes.folder, "jetstream"), { recursive: true, force: true });
		await rename(join(nodes.folder, "backup"), join(nodes.folder, "jetstream"));
		// Events published before the loss is detected get the sequences of lost ones.
		for (const id of later) await orderPublisher(source)("order.created", id);
		await nodes.nats.restart();
		await nodes.start([consumer("payments")]);
		await waitForEffects("payments", [...early, ...late, ...later]);
		await waitForEffects("shipping", [...early, ...late, ...later]);
	});

	test.each([
		["a new", true],
		["a running", false],
	])("%s node whose database was restored reads lost events again", async (_, restarts) => {
		const source = await nodes.start([producer()]);
		const first = await nodes.start([consumer("shipping")]);
		const [early, late, last] = [makeIds(5), makeIds(5), makeIds(1)];
		const publishAll = async (ids: readonly string[]) => {
			for (const id of ids) await orderPublisher(source)("order.created", id);
		};
		const waitForEffects = (all: readonly string[]) =>
			eventually(async () =>
				expect((await nodes.effects()).sort()).toEqual(
					all.map((id) => `order.created ${id}`).sort(),
				),
			);
		/** Waits until the progress that the node stores includes the last event. */
		const storedProgress = () =>
			eventually(async () => {
				const [row] = await nodes.databases.query<{ seq: string }>(
					"shipping",
					"select seq from stream_positions",
				);
				const [end] = await nodes.databases.query<{ seq: string }>(
					"orders",
					"select acked_seq as seq from outbox_readers",
				);
				expect(row).toEqual(end);
				return row!.seq;
			});
		await publishAll(early);
		await waitForEffects(early);
		const progress = await storedProgress();
		await publishAll(late);
		await waitForEffects([...early, ...late]);
		await storedProgress();
		if (restarts) await nodes.stop(first);
		const ids = await nodes.databases.query<{ id: string }>(
			"orders",
			"select id from outbox where subject = any($1)",
			[late],
		);
		await nodes.databases.query(
			"shipping",
			`with receipts as (delete from inbox where event_id = any($1)),
				lost as (delete from effects where split_part(event, ' ', 2) = any($2))
			update stream_positions set seq = $3`,
			[ids.map(({ id }) => id), late, progress],
		);
		if (restarts) await nodes.start([consumer("shipping")]);
		await publishAll(last);
		await waitForEffects([...early, ...late, ...last]);
	});

	test("events are published in few batches that keep each subject's order", async () => {
		const all = makeIds(300);
		const written = all.flatMap((id) => [`order.created ${id}`, `order.confirmed ${id}`]);
		await nodes.start([producer()]);
		const lines = written.map((line) => line.split(" "));
		await nodes.databases.query(
			"orders",
			`insert into outbox (type, subject, data) select t, s, $3
				from unnest($1::text[], $2::text[]) w(t, s)`,
			[
				lines.map(([type]) => type),
				lines.map(([, id]) => id),
				JSON.stringify({ ...eventData(), note: "x".repeat(1000) }),
			],
		);
		await nodes.start([consumer("shipping")]);
		await eventually(async () => expect(await nodes.effects()).toHaveLength(600));
		const received = await nodes.effects();
		for (const id of all)
			expect(received.indexOf(`order.created ${id}`)).toBeLessThan(
				received.indexOf(`order.confirmed ${id}`),
			);
		const connection = await connect({ servers: nodes.nats.url });
		const { state } = await (await connection.jetstreamManager()).streams.info(nodes.stream);
		// Two polls of the outbox, 128 KiB per message.
		expect(state.messages).toBeGreaterThanOrEqual(6);
		expect(state.messages).toBeLessThanOrEqual(10);
		await connection.close();
	});

	test("single events are accepted, and redelivered batches take effect once", async () => {
		await nodes.start([producer()]);
		await nodes.start([consumer("shipping")]);
		const connection = await connect({ servers: nodes.nats.url });
		const send = (body: unknown) =>
			eventually(() =>
				connection
					.jetstream()
					.publish(`${nodes.namespace}.events.order.created`, JSON.stringify(body)),
			);
		const [one, two, three] = makeIds(3).map((subject, i) => ({
			id: uuid(),
			type: "order.created",
			subject,
			sequence: `${i}`,
		}));
		for (const body of [one, [one, two], [two, one, three], []]) await send(body);
		await eventually(async () =>
			expect(await nodes.effects()).toEqual(
				[one, two, three].map((event) => `order.created ${event!.subject}`),
			),
		);
		await connection.close();
	});

	test("a slow handler extends its message's deadline", async () => {
		const { promise: gate, resolve: open } = Promise.withResolvers<void>();
		const source = await nodes.start([
			producer(),
			consumer("shipping", {
				"order.created": async (tx, found) => {
					await gate;
					await recordEffects(tx, found);
				},
			}),
		]);
		const id = uuid();
		await orderPublisher(source)("order.created", id);
		const connection = await connect({ servers: nodes.nats.url });
		const api = await connection.jetstreamManager();
		const stream = nodes.stream;
		const silent = {
			durable_name: "silent",
			ack_policy: AckPolicy.Explicit,
			ack_wait: nanos(ACK_WAIT),
		};
		await eventually(() => api.consumers.add(stream, silent));
		// A silent consumer gets its message again, which shows that the deadline has passed.
		const watch = await connection.jetstream().consumers.get(stream, "silent");
		const deliveries = async () => {
			const info = await api.consumers.info(stream, "shipping-order-created");
			expect(info.num_ack_pending).toBe(1);
			return info.delivered.consumer_seq;
		};
		// On a busy machine, the node may extend a deadline late.
		await eventually(async () => {
			const before = await deliveries();
			let more = 2;
			for await (const _ of await watch.consume()) if (--more < 0) break;
			expect(await deliveries()).toBe(before);
		});
		open();
		await eventually(async () => expect(await nodes.effects()).toEqual([`order.created ${id}`]));
		await connection.close();
	});

	test("a stopping node finishes current events and returns the others immediately", async () => {
		const patient = { EVENT_ACK_WAIT_MS: "120000" };
		const { promise: gate, resolve: open } = Promise.withResolvers<void>();
		const begun: string[] = [];
		const source = await nodes.start([producer()], patient);
		const leaving = await nodes.start(
			[
				consumer("shipping", {
					"order.created": async (tx, found) => {
						begun.push(...found.map(({ subject }) => subject));
						await gate;
						await recordEffects(tx, found);
					},
				}),
			],
			patient,
		);
		const [first, ...rest] = makeIds(20) as [string, ...string[]];
		await orderPublisher(source)("order.created", first);
		await eventually(() => expect(begun).toEqual([first]));
		for (const id of rest) await orderPublisher(source)("order.created", id);
		const connection = await connect({ servers: nodes.nats.url });
		const api = await connection.jetstreamManager();
		const info = () => api.consumers.info(nodes.stream, "shipping-order-created");
		await eventually(async () =>
			expect(await source.call("orders.eventFigures")).toMatchObject({ backlog: 0 }),
		);
		await eventually(async () =>
			expect(await info()).toMatchObject({ num_pending: 0, num_waiting: 1 }),
		);
		const left = nodes.stop(leaving);
		await eventually(async () => expect(await info()).toMatchObject({ num_waiting: 0 }));
		open();
		await left;
		expect(await nodes.effects()).toEqual([`order.created ${first}`]);
		await nodes.start([consumer("shipping", { "order.created": recordEffects })], patient);
		await eventually(async () =>
			expect((await nodes.effects()).sort()).toEqual(
				[first, ...rest].map((id) => `order.created ${id}`).sort(),
			),
		);
		await connection.close();
	});
});
