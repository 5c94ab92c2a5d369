import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "@jest/globals";
import { type Databases, makeDatabases } from "../../test/support/databases.ts";
import { eventually } from "../../test/support/eventually.ts";
import type { Event } from "../contracts/event.ts";
import { Database, databaseUrl, type Tx } from "../persistence/database.ts";
import { eventStatistics } from "./dead-letters.ts";
import { insertEvents, pruneOutbox, type Relay, type RelayOptions, startRelay } from "./outbox.ts";
import {
	listCheckpoints,
	oldestEventTime,
	removeCheckpoint,
	removeObsoleteCheckpoints,
} from "./outbox-checkpoints.ts";

let databases: Databases;
let db: Database;
beforeAll(async () => {
	databases = await makeDatabases(["users"]);
	db = new Database({ url: databaseUrl(databases.pattern, "users"), poolSize: 20 });
});
afterAll(async () => {
	await db?.close();
	await databases?.drop();
});

const relays: Relay[] = [];
const transactions: { commit(): Promise<void> }[] = [];
const failures: unknown[] = [];
beforeEach(async () => {
	failures.length = 0;
	await db.query("truncate outbox, outbox_readers");
});
afterEach(async () => {
	await Promise.all(transactions.splice(0).map((transaction) => transaction.commit()));
	await Promise.all(relays.splice(0).map((relay) => relay.stop()));
});

/** Subjects of the retained events. */
const kept = async () =>
	(await db.query<{ subject: string }>("select subject from outbox order by seq")).map(
		({ subject }) => subject,
	);

/** Starts a relay; `seen` has the subjects that it published. */
function follow(over: Partial<RelayOptions> = {}) {
	const seen: string[] = [];
	const events: Event[] = [];
	const relay = startRelay({
		db,
		name: "group",
		owner: "node",
		source: "/users",
		types: ["user.created", "user.updated"],
		onError: (error) => failures.push(error),
		...over,
		async deliver(found) {
			await over.deliver?.(found);
			events.push(...found);
			seen.push(...found.map(({ subject }) => subject));
		},
	});
	relays.push(relay);
	return { seen, events, relay };
}
const write = (tx: Tx | Database, subject: string) =>
	insertEvents(tx, "user.updated", subject, "{}");
const writeMany = (count: number, prefix: string) =>
	db.query(
		"insert into outbox (type, subject, data) select 'user.updated', $2 || n, '{}' from generate_series(1, $1) n",
		[count, prefix],
	);
const numbered = (count: number, prefix: string) =>
	Array.from({ length: count }, (_, i) => `${prefix}${i + 1}`);
/** Blocks deliveries until it is opened. */
function gate() {
	const opened = Promise.withResolvers<void>();
	let arrived = 0;
	return {
		open: opened.resolve,
		get arrived() {
			return arrived;
		},
		async pass() {
			arrived++;
			await opened.promise;
		},
	};
}

/** A transaction that stays open until `commit`. */
async function open() {
	let run: ((work: (tx: Tx) => Promise<unknown>) => Promise<unknown>) | undefined;
	let commit: (() => void) | undefined;
	const begun = Promise.withResolvers<void>();
	const done = db.transaction(async (tx) => {
		run = (work) => work(tx);
		begun.resolve();
		await new Promise<void>((resolve) => {
			commit = resolve;
		});
	});
	await begun.promise;
	const transaction = {
		run: run!,
		async commit() {
			commit!();
			await done;
		},
	};
	transactions.push(transaction);
	return transaction;
}

test("publishes a row that was written first and committed last", async () => {
	const early = await open();
	await early.run((tx) => write(tx, "early"));
	const { seen, relay } = follow();
	await write(db, "late");
	relay.wake();
	await eventually(() => expect(seen).toContain("late"));
	await early.commit();
	relay.wake();
	await eventually(() => expect(seen).toEqual(["late", "early"]));
});

test("publishes events of one row in order, whichever transaction began first", async () => {
	await db.query("create table things (id text primary key, state int not null)");
	await db.query("insert into things values ('thing', 0)");
	const advance = (tx: Tx, state: number) =>
		tx
			.query("update things set state = $1 where id = 'thing'", [state])
			.then(() => write(tx, `state ${state}`));
	const [long, first, second] = [await open(), await open(), await open()];
	// The second transaction begins to write before the first, and an unrelated one in between.
	await second.run((tx) => tx.query("select pg_current_xact_id()"));
	await long.run((tx) => tx.query("select pg_current_xact_id()"));
	const { seen, relay, events } = follow();
	await first.run((tx) => advance(tx, 1));
	await first.commit();
	await second.run((tx) => advance(tx, 2));
	await second.commit();
	relay.wake();
	await eventually(() => expect(seen).toContain("state 2"));
	await long.commit();
	relay.wake();
	await eventually(() => expect(seen).toEqual(["state 1", "state 2"]));
	expect(events[0]!.sequence < events[1]!.sequence).toBe(true);
	await db.query("drop table things");
});

test("publishes events as CloudEvents", async () => {
	const { events } = follow();
	await insertEvents(
		db,
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
	await db.query("create table counters (id int primary key, value int not null)");
	await db.query("insert into counters select n, 0 from generate_series(1, 3) n");
	const { seen, relay } = follow();
	const bump = async (...ids: number[]) => {
		await db.transaction(async (tx) => {
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
	await eventually(() => expect(seen.length).toBeGreaterThanOrEqual(total));
	expect(seen).toHaveLength(total);
	for (const id of [1, 2, 3]) {
		const mine = seen.filter((subject) => subject.startsWith(`${id}:`));
		expect(mine).toEqual(numbered(mine.length, `${id}:`));
	}
	await db.query("drop table counters");
});

test("publishes a long backlog in order, whatever is committed meanwhile", async () => {
	const early = await open();
	await early.run((tx) => write(tx, "early"));
	await writeMany(1100, "backlog ");
	const door = gate();
	const { seen } = follow({ deliver: door.pass });
	await eventually(() => expect(door.arrived).toBe(1));
	await early.commit();
	await writeMany(3, "new ");
	door.open();
	await eventually(() => expect(seen).toHaveLength(1104));
	expect(seen).toEqual([...numbered(1100, "backlog "), "early", ...numbered(3, "new ")]);
});

test("a relay that takes over a backlog continues after the published events", async () => {
	await writeMany(1100, "");
	const first = follow({
		owner: "first",
		async deliver([event]) {
			if (event!.subject !== "1") throw new Error("The process dies here");
		},
	});
	await eventually(() => expect(failures).toHaveLength(1));
	await write(db, "late");
	await first.relay.stop();
	const second = follow({ owner: "second" });
	await eventually(() => expect(second.seen).toContain("late"));
	expect([...first.seen, ...second.seen]).toEqual([...numbered(1100, ""), "late"]);
});

test("redelivers events that a group rejects, without delaying other groups", async () => {
	let broken = true;
	const mine = follow({
		async deliver() {
			if (broken) throw new Error("The group's database is down");
		},
	});
	const theirs = follow({ name: "another group" });
	await write(db, "1");
	await write(db, "2");
	theirs.relay.wake();
	await eventually(() => expect(theirs.seen).toEqual(["1", "2"]));
	await eventually(() => expect(failures).not.toHaveLength(0));
	expect(mine.seen).toEqual([]);
	broken = false;
	await eventually(() => expect(mine.seen).toEqual(["1", "2"]));
});

test("one node relays for a group, and another takes over when it is silent", async () => {
	const door = gate();
	const silent = follow({ owner: "silent", lease: 0.5, deliver: door.pass });
	await write(db, "1");
	await eventually(() => expect(door.arrived).toBe(1));
	const other = follow({ owner: "other" });
	await eventually(() => expect(other.seen).toEqual(["1"]));
	await write(db, "2");
	other.relay.wake();
	await eventually(() => expect(other.seen).toEqual(["1", "2"]));
	// The first node has lost its lease: it neither resets the checkpoint nor continues.
	door.open();
	await eventually(() => expect(silent.seen).toEqual(["1"]));
	await write(db, "3");
	silent.relay.wake();
	other.relay.wake();
	await eventually(() => expect(other.seen).toEqual(["1", "2", "3"]));
	expect(silent.seen).toEqual(["1"]);
});

test("a stopped relay finishes its delivery and releases the lease", async () => {
	const door = gate();
	const { relay, seen } = follow({ owner: "first", lease: 3600, deliver: door.pass });
	await write(db, "1");
	await eventually(() => expect(door.arrived).toBe(1));
	const stopped = relay.stop();
	await write(db, "2");
	door.open();
	await stopped;
	expect(seen).toEqual(["1"]);
	const next = follow({ owner: "next" });
	await eventually(() => expect(next.seen).toEqual(["2"]));
});

test("pruning keeps unpublished events of any age and deletes other old ones", async () => {
	await write(db, "old");
	const slow = follow({
		name: "slow",
		deliver: async ([event]) => {
			if (event!.subject !== "old") throw new Error("Not yet");
		},
	});
	const fast = follow({ name: "fast" });
	await eventually(() => expect([slow.seen, fast.seen]).toEqual([["old"], ["old"]]));
	await write(db, "unread");
	fast.relay.wake();
	slow.relay.wake();
	await eventually(() => expect(fast.seen).toContain("unread"));
	await eventually(() => expect(failures).not.toHaveLength(0));
	await db.query("update outbox set time = time - interval '2 hours'");
	await write(db, "young");
	fast.relay.wake();
	await eventually(() => expect(fast.seen).toContain("young"));
	expect(await pruneOutbox(db, 3)).toBe(false);
	expect(await kept()).toEqual(["old", "unread", "young"]);
	expect(await pruneOutbox(db, 1.5)).toBe(false);
	expect(await kept()).toEqual(["unread", "young"]);
});

test("a checkpoint advances past events of other types, so that they can be pruned", async () => {
	const { seen } = follow({ types: ["user.created"], lease: 0.2 });
	await writeMany(1200, "other");
	await eventually(() => expect(pruneOutbox(db, -1)).resolves.toBe(true));
	await insertEvents(db, "user.created", "wanted", "{}");
	await write(db, "unwanted");
	await eventually(() => expect(seen).toEqual(["wanted"]));
	expect(failures).toEqual([]);
});

test("an old checkpoint keeps its events and counts in statistics until it is removed", async () => {
	await write(db, "1");
	const before = follow();
	await eventually(() => expect(before.seen).toEqual(["1"]));
	await before.relay.stop();
	await write(db, "2");
	await db.query("update outbox set time = time - interval '2 hours'");
	await write(db, "3");
	await db.query("update outbox_readers set lease_until = now() - interval '30 days'");
	await pruneOutbox(db, 1);
	expect(await kept()).toEqual(["2", "3"]);
	const figures = await eventStatistics(db);
	expect(figures.backlog).toBe(2);
	expect(figures.lag_seconds).toBeGreaterThan(7000);
	expect(await listCheckpoints(db)).toEqual([
		{
			name: "group",
			owner: null,
			lease_until: expect.any(String),
			lag_seconds: expect.any(Number),
		},
	]);
	const after = follow();
	after.relay.wake();
	await eventually(() => expect(after.seen).toEqual(["2", "3"]));
	expect(await removeCheckpoint(db, "group")).toBe(0);
	await after.relay.stop();
	await write(db, "4");
	await db.query("update outbox set time = time - interval '2 hours'");
	await pruneOutbox(db, 1);
	expect(await kept()).toEqual(["4"]);
	expect(await removeCheckpoint(db, "group")).toBe(1);
	await pruneOutbox(db, 1);
	expect(await kept()).toEqual([]);
});

test("checkpoints of the other transport are removed unless a node uses them", async () => {
	const add =
		"insert into outbox_readers (name, owner, lease_until) select unnest($1::text[]), $2, now() + make_interval(secs => $3)";
	const names = async () => (await listCheckpoints(db)).map(({ name }) => name);
	await db.query(add, [["notifications", "shipping", "stream"], null, -10]);
	await db.query(add, [["payments"], "a node", 60]);
	expect((await removeObsoleteCheckpoints(db, true)).sort()).toEqual(["notifications", "shipping"]);
	expect(await names()).toEqual(["payments", "stream"]);
	expect(await removeObsoleteCheckpoints(db, false)).toEqual(["stream"]);
	expect(await names()).toEqual(["payments"]);
});

test("returns the time of the oldest retained event", async () => {
	expect(await oldestEventTime(db)).toBeNull();
	for (const subject of ["1", "2"]) await write(db, subject);
	await db.query("update outbox set time = '2026-01-01T00:00:00Z' where subject = '1'");
	expect(await oldestEventTime(db)).toBe("2026-01-01T00:00:00.000Z");
});

test("pruning deletes in batches, also without checkpoints", async () => {
	await writeMany(1500, "");
	await db.query("update outbox set time = time - interval '2 hours'");
	expect(await pruneOutbox(db, 1)).toBe(true);
	expect(await pruneOutbox(db, 1)).toBe(false);
	expect(await db.query("select from outbox")).toEqual([]);
});

test("a database restored to a server with lower transaction IDs publishes all events again", async () => {
	await write(db, "1");
	const before = follow();
	await eventually(() => expect(before.seen).toEqual(["1"]));
	await before.relay.stop();
	await db.query("update outbox set xid = '900000000000'");
	await db.query(
		"update outbox_readers set seen = '900000000005:900000000005:', owner = 'a node of old', lease_until = now() + interval '1 day'",
	);
	const after = follow();
	await write(db, "2");
	after.relay.wake();
	await eventually(() => expect(after.seen).toEqual(["1", "2"]));
	await write(db, "3");
	after.relay.wake();
	await eventually(() => expect(after.seen).toEqual(["1", "2", "3"]));
});
