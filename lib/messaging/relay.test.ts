import { expect, test } from "@jest/globals";
import { eventually } from "../../test/support/eventually.ts";
import type { Tx } from "../persistence/database.ts";
import { insertEvents } from "./outbox.ts";
import { gate, numbered, outboxDatabase, write } from "./test/outbox-database.ts";

const outbox = outboxDatabase();

test("publishes a row that was written first and committed last", async () => {
	const early = await outbox.openTransaction();
	await early.run((tx) => write(tx, "early"));
	const { published, relay } = outbox.startTestRelay();
	await write(outbox.db, "late");
	relay.wake();
	await eventually(() => expect(published).toContain("late"));
	await early.commit();
	relay.wake();
	await eventually(() => expect(published).toEqual(["late", "early"]));
});

test("publishes events of one row in order, whichever transaction began first", async () => {
	await outbox.db.query("create table things (id text primary key, state int not null)");
	await outbox.db.query("insert into things values ('thing', 0)");
	const advance = (tx: Tx, state: number) =>
		tx
			.query("update things set state = $1 where id = 'thing'", [state])
			.then(() => write(tx, `state ${state}`));
	const [long, first, second] = [
		await outbox.openTransaction(),
		await outbox.openTransaction(),
		await outbox.openTransaction(),
	];
	// The second transaction begins to write before the first, and an unrelated one in between.
	await second.run((tx) => tx.query("select pg_current_xact_id()"));
	await long.run((tx) => tx.query("select pg_current_xact_id()"));
	const { published, relay, events } = outbox.startTestRelay();
	await first.run((tx) => advance(tx, 1));
	await first.commit();
	await second.run((tx) => advance(tx, 2));
	await second.commit();
	relay.wake();
	await eventually(() => expect(published).toContain("state 2"));
	await long.commit();
	relay.wake();
	await eventually(() => expect(published).toEqual(["state 1", "state 2"]));
	expect(events[0]!.sequence < events[1]!.sequence).toBe(true);
	await outbox.db.query("drop table things");
});

test("publishes events as CloudEvents", async () => {
	const { events } = outbox.startTestRelay();
	await insertEvents(
		outbox.db,
		"user.created",
		"subject",
		'{"user_id":"subject"}',
		"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
	);
	await eventually(() => expect(events).toHaveLength(1));
	expect(events[0]).toEqual({
		specversion: "1.0",
		id: expect.stringMatching(/^[0-9a-f-]{36}$/),
		source: "/users",
		type: "user.created",
		subject: "subject",
		time: expect.stringMatching(/^\d{4}-.*Z$/),
		datacontenttype: "application/json",
		data: { user_id: "subject" },
		traceparent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
		sequence: expect.stringMatching(/^\d{19}$/),
	});
});

test("publishes each event of concurrent writers once, in order per subject", async () => {
	await outbox.db.query("create table counters (id int primary key, value int not null)");
	await outbox.db.query("insert into counters select n, 0 from generate_series(1, 3) n");
	const { published, relay } = outbox.startTestRelay();
	const bump = async (...ids: number[]) => {
		await outbox.db.transaction(async (tx) => {
			await tx.query("select pg_current_xact_id()");
			for (const id of ids) {
				const [row] = await tx.query<{ value: number }>(
					"update counters set value = value + 1 where id = $1 returning value",
					[id],
				);
				await write(tx, `${id}:${row!.value}`);
				await tx.query("select pg_sleep(random() * 0.005)");
			}
		});
		relay.wake();
	};
	const rounds = Array.from({ length: 60 }, (_, n) => [[1, 2], [2, 3], [1], [1, 3]][n % 4]!);
	await Promise.all(rounds.map((ids) => bump(...ids)));
	const total = rounds.flat().length;
	await eventually(() => expect(published.length).toBeGreaterThanOrEqual(total));
	expect(published).toHaveLength(total);
	for (const id of [1, 2, 3]) {
		const failing = published.filter((subject) => subject.startsWith(`${id}:`));
		expect(failing).toEqual(numbered(failing.length, `${id}:`));
	}
	await outbox.db.query("drop table counters");
});

test("publishes a long backlog in order, whatever is committed meanwhile", async () => {
	const early = await outbox.openTransaction();
	await early.run((tx) => write(tx, "early"));
	await outbox.writeMany(1100, "backlog ");
	const door = gate();
	const { published } = outbox.startTestRelay({ deliver: door.pass });
	await eventually(() => expect(door.arrived).toBe(1));
	await early.commit();
	await outbox.writeMany(3, "new ");
	door.open();
	await eventually(() => expect(published).toHaveLength(1104));
	expect(published).toEqual([...numbered(1100, "backlog "), "early", ...numbered(3, "new ")]);
});

test("a relay that takes over a backlog continues after the published events", async () => {
	await outbox.writeMany(1100, "");
	const first = outbox.startTestRelay({
		owner: "first",
		async deliver([event]) {
			if (event!.subject !== "1") throw new Error("The process dies here");
		},
	});
	await eventually(() => expect(outbox.failures).toHaveLength(1));
	await write(outbox.db, "late");
	await first.relay.stop();
	const second = outbox.startTestRelay({ owner: "second" });
	await eventually(() => expect(second.published).toContain("late"));
	expect([...first.published, ...second.published]).toEqual([...numbered(1100, ""), "late"]);
});

test("publishes events of all types by default, also in a long backlog", async () => {
	await insertEvents(outbox.db, "order.future", "first", "{}");
	await outbox.writeMany(500, "backlog ");
	await insertEvents(outbox.db, "order.future", "last", "{}");
	const { published } = outbox.startTestRelay();
	await eventually(() => expect(published).toHaveLength(502));
	expect(published).toEqual(["first", ...numbered(500, "backlog "), "last"]);
});

test("redelivers events that a group rejects, without delaying other groups", async () => {
	let broken = true;
	const failing = outbox.startTestRelay({
		async deliver() {
			if (broken) throw new Error("The group's database is down");
		},
	});
	const healthy = outbox.startTestRelay({ name: "another group" });
	await write(outbox.db, "1");
	await write(outbox.db, "2");
	healthy.relay.wake();
	await eventually(() => expect(healthy.published).toEqual(["1", "2"]));
	await eventually(() => expect(outbox.failures).not.toHaveLength(0));
	expect(failing.published).toEqual([]);
	broken = false;
	await eventually(() => expect(failing.published).toEqual(["1", "2"]));
});

test("one node relays for a group, and another takes over when it is silent", async () => {
	const door = gate();
	const silent = outbox.startTestRelay({ owner: "silent", lease: 0.5, deliver: door.pass });
	await write(outbox.db, "1");
	await eventually(() => expect(door.arrived).toBe(1));
	const other = outbox.startTestRelay({ owner: "other", lease: 3600 });
	await eventually(() => expect(other.published).toEqual(["1"]));
	await write(outbox.db, "2");
	other.relay.wake();
	await eventually(() => expect(other.published).toEqual(["1", "2"]));
	// The first node has lost its lease: it neither resets the checkpoint nor continues.
	door.open();
	await eventually(() => expect(silent.published).toEqual(["1"]));
	await write(outbox.db, "3");
	silent.relay.wake();
	other.relay.wake();
	await eventually(() => expect(other.published).toEqual(["1", "2", "3"]));
	expect(silent.published).toEqual(["1"]);
});

test("a stopped relay finishes its delivery and releases the lease", async () => {
	const door = gate();
	const { relay, published } = outbox.startTestRelay({
		owner: "first",
		lease: 3600,
		deliver: door.pass,
	});
	await write(outbox.db, "1");
	await eventually(() => expect(door.arrived).toBe(1));
	const stopped = relay.stop();
	await write(outbox.db, "2");
	door.open();
	await stopped;
	expect(published).toEqual(["1"]);
	const next = outbox.startTestRelay({ owner: "next" });
	await eventually(() => expect(next.published).toEqual(["2"]));
});

test("publishes all events again after a restore to lower transaction IDs", async () => {
	await write(outbox.db, "1");
	const before = outbox.startTestRelay();
	await eventually(() => expect(before.published).toEqual(["1"]));
	await before.relay.stop();
	await outbox.db.query("update outbox set xid = '900000000000'");
	await outbox.db.query(
		`update outbox_readers set seen = '900000000005:900000000005:', owner = 'earlier node',
			lease_until = now() + interval '1 day'`,
	);
	const after = outbox.startTestRelay();
	await write(outbox.db, "2");
	after.relay.wake();
	await eventually(() => expect(after.published).toEqual(["1", "2"]));
	await write(outbox.db, "3");
	after.relay.wake();
	await eventually(() => expect(after.published).toEqual(["1", "2", "3"]));
});
