import { afterAll, beforeAll, beforeEach, expect, jest, test } from "@jest/globals";
import { Errors } from "moleculer";
import { v7 as uuid } from "uuid";
import { type Databases, makeDatabases } from "../../test/support/databases.ts";
import { eventually } from "../../test/support/eventually.ts";
import type { Event } from "../contracts/event.ts";
import { Database, databaseUrl, type Tx } from "../persistence/database.ts";
import { deadLetters } from "./dead-letters.ts";
import { createInbox, deleteProcessedEvents, findRetries, type InboxOptions } from "./inbox.ts";

let databases: Databases;
let db: Database;
beforeAll(async () => {
	databases = await makeDatabases(["users"]);
	db = new Database({ url: databaseUrl(databases.pattern, "users"), poolSize: 10 });
	await db.query(
		"create table effects (subject text not null, at bigint generated always as identity)",
	);
});
afterAll(async () => {
	await db?.close();
	await databases?.drop();
});

/** Subjects of reported failures, with `!` for dead letters. */
let failures: string[];
/** Number of events per call of the handler. */
let calls: number[];
let closing: boolean;
beforeEach(async () => {
	failures = [];
	calls = [];
	closing = false;
	await db.query("truncate effects, inbox, retries");
});

let counter = 0;
const event = (subject: string) =>
	({
		specversion: "1.0",
		id: uuid(),
		source: "/users",
		type: "user.updated",
		subject,
		time: "2026-01-01T00:00:00.000Z",
		datacontenttype: "application/json",
		data: {},
		sequence: String(++counter).padStart(19, "0"),
	}) as unknown as Event;

const noteEffects = (tx: Tx, events: readonly Event[]) =>
	tx.query("insert into effects (subject) select unnest($1::text[])", [
		events.map(({ subject }) => subject),
	]);
/** An inbox whose handler records each event, then fails for subjects at which `refuse` throws. */
const box = (refuse: (subject: string) => void = () => {}, over: Partial<InboxOptions> = {}) =>
	createInbox({
		db,
		group: "group",
		patterns: ["user.*"],
		backoff: [0, 0.000001],
		async handle(tx, events) {
			calls.push(events.length);
			await noteEffects(tx, events);
			for (const { subject } of events) refuse(subject);
		},
		onFailure: (_, { subject }, dead) => failures.push(`${subject}${dead ? "!" : ""}`),
		closing: () => closing,
		...over,
	});
const effects = async () =>
	(await db.query<{ subject: string }>("select subject from effects order by at")).map(
		({ subject }) => subject,
	);
const retries = () =>
	db.query<{
		attempts: number;
		dead_at: string | null;
		errors: { time: string; message: string }[];
	}>("select attempts, dead_at, errors from retries order by event->>'sequence'");
const refuse = (bad: string) => (subject: string) => {
	if (subject === bad) throw new Error(`${bad} is refused`);
};

test("an event takes effect once, however often and concurrently it is delivered", async () => {
	const [one, two] = [event("one"), event("two")];
	const { accept } = box();
	await Promise.all([accept([one, two, one]), accept([two, one]), box().accept([one])]);
	await accept([one, two]);
	expect((await effects()).sort()).toEqual(["one", "two"]);
});

test("each group processes events independently", async () => {
	const one = event("one");
	await box().accept([one]);
	await box(undefined, { group: "another group" }).accept([one]);
	expect(await effects()).toEqual(["one", "one"]);
});

test("a failing event has no effect and does not delay the others of its batch", async () => {
	const events = Array.from({ length: 64 }, (_, i) => event(String(i)));
	await box(refuse("37")).accept(events);
	expect(await effects()).toEqual(
		events.map(({ subject }) => subject).filter((subject) => subject !== "37"),
	);
	expect(failures).toEqual(["37"]);
	expect(await retries()).toMatchObject([
		{ attempts: 1, dead_at: null, errors: [{ message: "37 is refused" }] },
	]);
	// A failing event costs a few more transactions, not one per event.
	expect(calls.length).toBeLessThan(16);
});

test("failed events are retried in order until they succeed", async () => {
	let broken = true;
	const { accept, retry } = box(() => {
		if (broken) throw new Error("Not now");
	});
	await accept([event("one"), event("two"), event("three")]);
	await retry();
	expect(await effects()).toEqual([]);
	broken = false;
	await retry();
	expect(await effects()).toEqual(["one", "two", "three"]);
	expect(await retries()).toEqual([]);
	expect(await retry()).toBe(Number.POSITIVE_INFINITY);
});

test("retry returns the time until the next retry is due", async () => {
	const { accept, retry } = box(refuse("late"), { backoff: [3600] });
	await accept([event("late")]);
	const wait = await retry();
	expect(wait).toBeGreaterThan(3_000_000);
	expect(wait).toBeLessThanOrEqual(3_600_000);
});

test("lists failures of an event that waits, has succeeded or is dead", async () => {
	let broken = true;
	const { accept, retry } = box((subject) => {
		if (broken || subject === "hopeless") throw new Error("Not now");
	});
	const known = async (subject: string) =>
		(await findRetries(db, "group", subject)).map(({ type, failures, state }) => [
			type,
			failures.length,
			state,
		]);
	await accept([event("one"), event("hopeless")]);
	await retry();
	expect(await known("one")).toEqual([["user.updated", 2, "waiting"]]);
	broken = false;
	await accept([event("smooth")]);
	await retry();
	expect(await known("one")).toEqual([["user.updated", 2, "done"]]);
	expect(await known("hopeless")).toEqual([["user.updated", 3, "dead"]]);
	expect(await known("smooth")).toEqual([]);
	expect(await findRetries(db, "another", "one")).toEqual([]);
});

test("an event becomes a dead letter with all its errors after the last attempt", async () => {
	let attempt = 0;
	const { accept, retry } = box(() => {
		throw new Error(`Failure ${++attempt}`);
	});
	await accept([event("one")]);
	await retry();
	await retry();
	expect(failures).toEqual(["one", "one", "one!"]);
	const [letter] = await retries();
	expect(letter).toMatchObject({ attempts: 3, dead_at: expect.any(String) });
	expect(letter!.errors.map(({ message }) => message)).toEqual([
		"Failure 1",
		"Failure 2",
		"Failure 3",
	]);
	await retry();
	expect(attempt).toBe(3);
	expect(await effects()).toEqual([]);
});

test("an invalid message cannot be retried, only discarded", async () => {
	await box().storeInvalid("{ not JSON", new Error("invalid"));
	const letters = deadLetters(db, "group");
	const [letter] = await letters.list({}, undefined, 10);
	const { event_id } = letter!;
	expect(await letters.retry({ event_id }, ["user.*"])).toBe(0);
	expect(await letters.list({}, undefined, 10)).toMatchObject([{ event_id }]);
	expect(await letters.discard({ event_id })).toBe(1);
});

test("invalid messages that are due do not prevent retries and become dead letters", async () => {
	const { accept, retry, storeInvalid } = box();
	for (let i = 0; i < 50; i++) await storeInvalid(`invalid ${i}`, new Error("invalid"));
	await db.query("update retries set dead_at = null, attempts = 1");
	await box(refuse("one")).accept([event("one")]);
	await eventually(async () => {
		await retry();
		expect(await effects()).toEqual(["one"]);
	});
	await eventually(async () => {
		await retry();
		expect((await retries()).every(({ dead_at }) => dead_at !== null)).toBe(true);
	});
	await accept([event("two")]);
	expect(await effects()).toEqual(["one", "two"]);
});

test("a node leaves retries of events without a handler to nodes of another version", async () => {
	const one = event("one");
	await box(refuse("one")).accept([one]);
	const older = box(undefined, { patterns: ["user.created", "order.*"] });
	expect(await older.retry()).toBe(Number.POSITIVE_INFINITY);
	expect(await retries()).toMatchObject([{ attempts: 1, dead_at: null }]);
	expect(await db.query("select from inbox")).toEqual([]);
	calls = [];
	const newer = box(undefined, { patterns: ["user.created", "user.updated"] });
	await newer.retry();
	expect(calls).toEqual([1]);
	expect(await effects()).toEqual(["one"]);
	expect(await retries()).toEqual([]);
});

test("a dead letter without a handler is not retried and can be discarded", async () => {
	const one = event("one");
	await box(refuse("one"), { backoff: [] }).accept([one]);
	await box(refuse("one"), { backoff: [] }).retry();
	const letters = deadLetters(db, "group");
	expect(await letters.retry({ event_id: one.id }, ["user.created"])).toBe(0);
	expect(await letters.list({}, undefined, 10)).toMatchObject([{ event_id: one.id }]);
	expect(await letters.retry({ event_id: one.id }, ["user.updated"])).toBe(1);
	await box(refuse("one"), { backoff: [] }).retry();
	expect(await letters.discard({ event_id: one.id })).toBe(1);
});

test("an attempt waits for its backoff", async () => {
	const { accept, retry } = box(refuse("one"), { backoff: [3600] });
	await accept([event("one")]);
	await retry();
	expect(failures).toEqual(["one"]);
	await db.query("update retries set next_at = now()");
	await retry();
	expect(failures).toEqual(["one", "one!"]);
});

test("nodes share due retries", async () => {
	await box(() => {
		throw new Error("Not now");
	}).accept(Array.from({ length: 120 }, (_, i) => event(String(i))));
	await eventually(async () => {
		await Promise.all([box().retry(), box().retry(), box().retry()]);
		expect(await retries()).toEqual([]);
	});
	expect(new Set(await effects()).size).toBe(120);
	expect(await effects()).toHaveLength(120);
});

test("a retry of a dead node is taken over by another at once", async () => {
	await box(refuse("one")).accept([event("one")]);
	// A connection that is never closed regularly.
	const failing = new Database({ url: databaseUrl(databases.pattern, "users"), poolSize: 1 });
	const begun = Promise.withResolvers<number>();
	const stuck = box(undefined, {
		db: failing,
		async handle(tx) {
			const [row] = await tx.query<{ pid: number }>("select pg_backend_pid() as pid");
			begun.resolve(row!.pid);
			await new Promise(() => undefined);
		},
	});
	stuck.retry().catch(() => undefined);
	const pid = await begun.promise;
	// While its connection is alive, the retry is locked.
	await box().retry();
	expect(await effects()).toEqual([]);
	await databases.query("users", "select pg_terminate_backend($1)", [pid]);
	await eventually(async () => {
		await box().retry();
		expect(await effects()).toEqual(["one"]);
	});
	expect(await retries()).toEqual([]);
});

test("a redelivered event that is due for a retry takes effect once", async () => {
	const one = event("one");
	let broken = true;
	const { accept, retry } = box(() => {
		if (broken) throw new Error("Not now");
	});
	await accept([one]);
	broken = false;
	await accept([one]);
	await retry();
	expect(await effects()).toEqual(["one"]);
	expect(await retries()).toEqual([]);
});

test("a batch that fails by an outage is stored as a whole, without being split", async () => {
	await box(() => {
		throw new Errors.ServiceNotFoundError({ action: "users.resolve" });
	}).accept([event("one"), event("two"), event("three")]);
	expect(calls).toEqual([3]);
	expect(await retries()).toHaveLength(3);
});

test("a stopping process leaves events that fail by an outage for the next start", async () => {
	const away = () => {
		throw new Errors.ServiceNotFoundError({ action: "users.resolve" });
	};
	await box(away).accept([event("one")]);
	failures = [];
	closing = true;
	await expect(box(away).accept([event("two")])).rejects.toThrow("users.resolve");
	await box(away).retry();
	expect(failures).toEqual([]);
	expect(await retries()).toMatchObject([{ attempts: 1 }]);
	// Other failures are stored as usual.
	await box(refuse("three")).accept([event("three")]);
	expect(failures).toEqual(["three"]);
});

test("without its database, an inbox rejects events and reports no failures", async () => {
	const away = new Database({ url: "postgres://users:secret@127.0.0.1:1/users", poolSize: 1 });
	await expect(box(undefined, { db: away }).accept([event("one"), event("two")])).rejects.toThrow(
		"ECONNREFUSED",
	);
	expect(failures).toEqual([]);
	await away.close();
});

test("any error message is stored, also one that Postgres' JSON rejects", async () => {
	await box(() => {
		throw new Error(`\0${"x".repeat(999)}\u{1F4A5}${"x".repeat(5000)}`);
	}).accept([event("one")]);
	const [stored] = await retries();
	expect(stored!.errors[0]!.message).toBe(`${"x".repeat(999)}\uFFFD`);
});

test("old receipts are deleted in batches", async () => {
	await db.query(
		`insert into inbox select 'group', gen_random_uuid(), now() - interval '3 hours'
			from generate_series(1, 1200)`,
	);
	const young = event("young");
	await box().accept([young]);
	expect(await deleteProcessedEvents(db, 4)).toBe(false);
	expect(await deleteProcessedEvents(db, 2)).toBe(true);
	expect(await deleteProcessedEvents(db, 2)).toBe(false);
	expect(await db.query("select event_id from inbox")).toEqual([{ event_id: young.id }]);
});

test("receipts are kept while an outbox may publish their events again", async () => {
	const add = `insert into inbox (group_name, event_id, time)
			values ('group', $1, now() - make_interval(hours => $2))`;
	const [newer, older] = [uuid(), uuid()];
	await db.query(add, [newer, 20]);
	await db.query(add, [older, 40]);
	const hoursAgo = (hours: number) => new Date(Date.now() - hours * 3_600_000).toISOString();
	const left = async () =>
		(await db.query<{ event_id: string }>("select event_id from inbox order by time desc")).map(
			({ event_id }) => event_id,
		);
	await deleteProcessedEvents(db, 2, hoursAgo(50));
	expect(await left()).toEqual([newer, older]);
	await deleteProcessedEvents(db, 2, hoursAgo(30));
	expect(await left()).toEqual([newer]);
	await deleteProcessedEvents(db, 2, null);
	expect(await left()).toEqual([]);
});

test("an event whose commit fails does not block other retries", async () => {
	// Sequelize logs each failed commit there.
	const warnings = jest.spyOn(console, "warn").mockImplementation(() => undefined);
	await db.query(
		"create table unique_effects (subject text not null unique deferrable initially deferred)",
	);
	let broken = true;
	const { accept, retry } = box(undefined, {
		async handle(tx, events) {
			if (broken) throw new Error("Not yet");
			for (const { subject } of events)
				await tx.query("insert into unique_effects select $1 from generate_series(1, $2)", [
					subject,
					subject === "bad" ? 2 : 1,
				]);
		},
	});
	for (const subject of ["bad", "good"]) await accept([event(subject)]);
	broken = false;
	await eventually(async () => {
		await retry();
		expect(await db.query("select subject from unique_effects")).toEqual([{ subject: "good" }]);
		expect(await retries()).toMatchObject([{ attempts: 3, dead_at: expect.any(String) }]);
	});
	expect(failures).toEqual(["bad", "good", "bad", "bad!"]);
	await db.query("drop table unique_effects");
	warnings.mockRestore();
});
