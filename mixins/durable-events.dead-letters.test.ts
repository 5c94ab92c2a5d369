import { expect, test } from "@jest/globals";
import { connect } from "nats";
import { v7 as uuid } from "uuid";
import { renderNodeMetrics } from "../lib/health/node-metrics.ts";
import { eventually } from "../test/support/eventually.ts";
import { describeWith } from "../test/support/servers.ts";
import {
	consumer,
	eventNodes,
	makeIds,
	orderPublisher,
	producer,
	recordEffects,
} from "./durable-events/test/event-nodes.ts";

describeWith(["nats-server"], "dead letters and replays on JetStream", () => {
	const nodes = eventNodes({
		producers: ["orders"],
		groups: ["shipping", "payments"],
		nats: {},
		settings: { EVENT_ACK_WAIT_MS: "1500", EVENT_STREAM_MB: "16" },
	});

	test("an invalid element of a batch becomes a dead letter by itself", async () => {
		await nodes.start([producer()]);
		const broker = await nodes.start([consumer("shipping")]);
		const connection = await connect({ servers: nodes.nats.url });
		const [one, two] = makeIds(2).map((subject, i) => ({
			id: uuid(),
			type: "order.created",
			subject,
			sequence: `${i}`,
		}));
		const mixed = JSON.stringify([one, { id: "7" }, two]);
		// Delivered twice, it is still one dead letter.
		for (let time = 0; time < 2; time++)
			await eventually(() =>
				connection.jetstream().publish(`${nodes.namespace}.events.order.created`, mixed),
			);
		await connection.close();
		await eventually(async () =>
			expect(await nodes.effects()).toEqual([
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
		const source = await nodes.start([producer()]);
		const broker = await nodes.start([consumer("shipping")]);
		const connection = await connect({ servers: nodes.nats.url });
		await eventually(() =>
			connection.jetstream().publish(`${nodes.namespace}.events.order.created`, "{ not JSON"),
		);
		await connection.close();
		const id = uuid();
		await orderPublisher(source)("order.created", id);
		await eventually(async () => expect(await nodes.effects()).toEqual([`order.created ${id}`]));
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
		const source = await nodes.start([producer()]);
		const broker = await nodes.start([
			consumer("shipping", {
				"order.created": async (tx, found) => {
					if (broken) throw new Error("Not today");
					await recordEffects(tx, found);
				},
				"order.confirmed": recordEffects,
			}),
		]);
		const [poison, good] = makeIds(2) as [string, string];
		await orderPublisher(source)("order.created", poison);
		await orderPublisher(source)("order.confirmed", good);
		await eventually(async () =>
			expect(await nodes.effects()).toEqual([`order.confirmed ${good}`]),
		);
		const figures = () =>
			broker.call("shipping.eventFigures") as Promise<{
				dead_letters: number;
				retries: number;
				pending: number;
			}>;
		await eventually(async () =>
			expect(await figures()).toMatchObject({ dead_letters: 1, retries: 0, pending: 0 }),
		);
		// The metrics omit a service that does not respond in time.
		await eventually(async () =>
			expect(await renderNodeMetrics(broker)).toContain(
				'# TYPE shop_dead_letters gauge\nshop_dead_letters{service="shipping"} 1\n',
			),
		);
		await eventually(async () =>
			expect(await renderNodeMetrics(source)).toMatch(
				/^shop_outbox_backlog_events\{service="orders"\} \d+$/m,
			),
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
			expect(await nodes.effects()).toEqual([`order.confirmed ${good}`, `order.created ${poison}`]),
		);
		expect(await figures()).toMatchObject({ dead_letters: 0 });
	});

	test("a discarded dead letter is deleted", async () => {
		const source = await nodes.start([producer()]);
		const refuse = async () => Promise.reject(new Error("Never"));
		const broker = await nodes.start([consumer("shipping", { "order.created": refuse })]);
		await orderPublisher(source)("order.created", uuid());
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

	test("a replay filters by time, type and group, and repeats no effect", async () => {
		const source = await nodes.start([producer()]);
		await nodes.start([consumer("shipping", { "order.created": recordEffects })]);
		const [id, other] = makeIds(2) as [string, string];
		await orderPublisher(source)("order.created", id);
		await orderPublisher(source)("order.confirmed", other);
		await eventually(async () => expect(await nodes.effects()).toEqual([`order.created ${id}`]));
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
		await nodes.databases.query("shipping", "delete from inbox");
		expect(await replay({ type: "order.*" })).toEqual({ count: 2 });
		await eventually(async () =>
			expect(await nodes.effects()).toEqual([`order.created ${id}`, `order.created ${id}`]),
		);
	});
});
