import { afterEach, expect, test } from "@jest/globals";
import { connect } from "nats";
import { eventually } from "../test/support/eventually.ts";
import { describeWith } from "../test/support/servers.ts";
import {
	consumer,
	eventData,
	eventNodes,
	makeIds,
	producer,
	recordEffects,
} from "./durable-events/test/event-nodes.ts";

const GROUPS = ["shipping", "payments", "inventory"] as const;
type Group = (typeof GROUPS)[number];
/** Bytes of an event, and the number of events that need three times the store. */
const EVENT_BYTES = 5000;
const FLOOD = (3 * 2 ** 20) / EVENT_BYTES;

describeWith(["nats-server"], "events on a JetStream server with a store of 1 MB", () => {
	const nodes = eventNodes({ producers: ["orders"], groups: GROUPS, nats: { store: "1MB" } });
	// The store has room for one stream.
	afterEach(async () => {
		const connection = await connect({ servers: nodes.nats.url });
		await (await connection.jetstreamManager()).streams.delete(nodes.stream);
		await connection.close();
	});

	/** Writes events to the outbox, which its relay reads within a second. */
	async function write(count: number, bytes = EVENT_BYTES): Promise<string[]> {
		const subjects = makeIds(Math.ceil(count));
		await nodes.databases.query(
			"orders",
			"insert into outbox (type, subject, data) select 'order.created', unnest($1::text[]), $2",
			[subjects, JSON.stringify({ ...eventData(), note: "x".repeat(bytes) })],
		);
		return subjects;
	}
	const haveEffect = (group: Group, subjects: readonly string[]) =>
		eventually(async () => {
			const expected = subjects.map((subject) => `order.created ${subject}`);
			expect((await nodes.effects(group)).sort()).toEqual(expected.sort());
		});

	test("events beyond the store's size take effect once in every group", async () => {
		await nodes.start([producer()]);
		await nodes.start([consumer("shipping")]);
		const away = await nodes.start([consumer("payments")]);
		const few = await write(5);
		for (const group of ["shipping", "payments"] as const) await haveEffect(group, few);
		await nodes.stop(away);
		const flood = await write(FLOOD);
		await haveEffect("shipping", [...few, ...flood]);
		await nodes.start([consumer("payments")]);
		await nodes.start([consumer("inventory")]);
		for (const group of GROUPS) await haveEffect(group, [...few, ...flood]);
		const more = await write(5);
		for (const group of GROUPS) await haveEffect(group, [...few, ...flood, ...more]);
	});

	test("the stream stays below the store's size and discards its oldest messages", async () => {
		await nodes.start([producer()]);
		await write(FLOOD);
		const connection = await connect({ servers: nodes.nats.url });
		const { streams } = await connection.jetstreamManager();
		const { config, state } = await eventually(async () => {
			const info = await streams.info(nodes.stream);
			expect(info.state.first_seq).toBeGreaterThan(1);
			return info;
		});
		await connection.close();
		expect(config).toMatchObject({
			discard: "old",
			max_bytes: 512 * 1024,
			max_age: 24 * 3600 * 1e9,
		});
		expect(state.bytes).toBeLessThanOrEqual(512 * 1024);
	});

	test("statistics show the unread share of the stream before messages are discarded", async () => {
		const { promise: gate, resolve: open } = Promise.withResolvers<void>();
		await nodes.start([producer()]);
		const slow = await nodes.start([
			consumer("shipping", {
				"order.*": async (tx, found) => {
					await gate;
					await recordEffects(tx, found);
				},
			}),
		]);
		const share = async () =>
			((await slow.call("shipping.eventFigures")) as { unread_share: number }).unread_share;
		await eventually(async () => expect(await share()).toBe(0));
		const subjects = await write(60);
		await eventually(async () => expect(await share()).toBeGreaterThan(0.5));
		open();
		await haveEffect("shipping", subjects);
		await eventually(async () => expect(await share()).toBe(0));
	});
});
