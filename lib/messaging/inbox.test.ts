import { afterAll, beforeAll, beforeEach, expect, jest, test } from "@jest/globals";
import { Errors } from "moleculer";
import { v7 as uuid } from "uuid";
import { type Databases, makeDatabases } from "../../test/support/databases.ts";
import { eventually } from "../../test/support/eventually.ts";
import type { Event } from "../contracts/event.ts";
import { Database, databaseUrl, type Tx } from "../persistence/database.ts";
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

/** What the inbox told of failures, `!` behind what became a dead letter. */
let told: string[];
/** How many events each call of the handler had. */
let calls: number[];
let closing: boolean;
beforeEach(async () => {
	told = [];
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
/** An inbox whose handler writes each event down, then fails for those that `refuse` throws at. */
const box = (refuse: (subject: string) => void = () => {}, over: Partial<InboxOptions> = {}) =>
	createInbox({
		db,
		group: "group",
		backoff: [0, 0.000001],
		async handle(tx, events) {
			calls.push(events.length);
			await noteEffects(tx, events);
			for (const { subject } of events) refuse(subject);
		},
		onFailure: (_, { subject }, dead) => told.push(`${subject}${dead ? "!" : ""}`),
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

test("an event takes effect once, however often and from however many sides it comes", async () => {
	const [one, two] = [event("one"), event("two")];
	const { accept } = box();
	await Promise.all([accept([one, two, one]), accept([two, one]), box().accept([one])]);
	await accept([one, two]);
	expect((await effects()).sort()).toEqual(["one", "two"]);
});

test("groups receive each for themselves", async () => {
	const one = event("one");
	await box().accept([one]);
	await box(undefined, { group: "another group" }).accept([one]);
	expect(await effects()).toEqual(["one", "one"]);
});

test("an event whose handler fails leaves nothing behind and does not hold back the others of its batch", async () => {
	const events = Array.from({ length: 64 }, (_, i) => event(String(i)));
	await box(refuse("37")).accept(events);
	expect(await effects()).toEqual(
		events.map(({ subject }) => subject).filter((subject) => subject !== "37"),
	);
	expect(told).toEqual(["37"]);
	expect(await retries()).toMatchObject([
		{ attempts: 1, dead_at: null, errors: [{ message: "37 is refused" }] },
	]);
	// One bad event costs a few more transactions, not one for each of the good ones.
	expect(calls.length).toBeLessThan(16);
});

test("what failed is tried again in its order until it takes effect", async () => {
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
	expect(await retry()).toBe(false);
});

test("how often an event failed is known while it waits, when it has taken effect, and when it is given up", async () => {
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

test("after its last try an event is a dead letter with all its errors, and rests", async () => {
	let attempt = 0;
	const { accept, retry } = box(() => {
		throw new Error(`Failure ${++attempt}`);
	});
	await accept([event("one")]);
	await retry();
	await retry();
	expect(told).toEqual(["one", "one", "one!"]);
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

test("a try waits for its time", async () => {
	const { accept, retry } = box(refuse("one"), { backoff: [3600] });
	await accept([event("one")]);
	await retry();
	expect(told).toEqual(["one"]);
	await db.query("update retries set next_at = now()");
	await retry();
	expect(told).toEqual(["one", "one!"]);
});

test("nodes share what is to be tried again", async () => {
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

test("what a node was trying again when it died is tried by another at once", async () => {
	await box(refuse("one")).accept([event("one")]);
	// Dead for good: nothing of it is ever closed.
	const dying = new Database({ url: databaseUrl(databases.pattern, "users"), poolSize: 1 });
	const begun = Promise.withResolvers<number>();
	const stuck = box(undefined, {
		db: dying,
		async handle(tx) {
			const [row] = await tx.query<{ pid: number }>("select pg_backend_pid() as pid");
			begun.resolve(row!.pid);
			await new Promise(() => undefined);
		},
	});
	stuck.retry().catch(() => undefined);
	const pid = await begun.promise;
	// As long as it lives it is left alone.
	await box().retry();
	expect(await effects()).toEqual([]);
	await databases.query("users", "select pg_terminate_backend($1)", [pid]);
	await eventually(async () => {
		await box().retry();
		expect(await effects()).toEqual(["one"]);
	});
	expect(await retries()).toEqual([]);
});

test("what was tried again meanwhile takes no second effect when it is delivered again", async () => {
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

test("when somebody who is needed is away the batch waits as a whole, without being split", async () => {
	await box(() => {
		throw new Errors.ServiceNotFoundError({ action: "users.resolve" });
	}).accept([event("one"), event("two"), event("three")]);
	expect(calls).toEqual([3]);
	expect(await retries()).toHaveLength(3);
});

test("a stopping process leaves what fails for want of others untouched, and says nothing", async () => {
	const away = () => {
		throw new Errors.ServiceNotFoundError({ action: "users.resolve" });
	};
	await box(away).accept([event("one")]);
	told = [];
	closing = true;
	await expect(box(away).accept([event("two")])).rejects.toThrow("users.resolve");
	await box(away).retry();
	expect(told).toEqual([]);
	expect(await retries()).toMatchObject([{ attempts: 1 }]);
	// A fault of its own is noted all the same.
	await box(refuse("three")).accept([event("three")]);
	expect(told).toEqual(["three"]);
});

test("without its database an inbox takes nothing over and tells of no failed events", async () => {
	const away = new Database({ url: "postgres://users:secret@127.0.0.1:1/users", poolSize: 1 });
	await expect(box(undefined, { db: away }).accept([event("one"), event("two")])).rejects.toThrow(
		"ECONNREFUSED",
	);
	expect(told).toEqual([]);
	await away.close();
});

test("any error can be kept, also one that Postgres' JSON could not hold", async () => {
	await box(() => {
		throw new Error(`\0${"x".repeat(999)}\u{1F4A5}${"x".repeat(5000)}`);
	}).accept([event("one")]);
	const [kept] = await retries();
	expect(kept!.errors[0]!.message).toBe(`${"x".repeat(999)}\uFFFD`);
});

test("receipts are forgotten when they are old, in small steps", async () => {
	await db.query(
		"insert into inbox select 'group', gen_random_uuid(), now() - interval '3 hours' from generate_series(1, 1200)",
	);
	const young = event("young");
	await box().accept([young]);
	expect(await deleteProcessedEvents(db, 4)).toBe(false);
	expect(await deleteProcessedEvents(db, 2)).toBe(true);
	expect(await deleteProcessedEvents(db, 2)).toBe(false);
	expect(await db.query("select event_id from inbox")).toEqual([{ event_id: young.id }]);
});

test("receipts are kept as long as an outbox may publish their events again", async () => {
	const add =
		"insert into inbox (group_name, event_id, time) values ('group', $1, now() - make_interval(hours => $2))";
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

test("an event whose transaction cannot be committed does not block the retries of others", async () => {
	// Sequelize reports each failed commit there.
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
	expect(told).toEqual(["bad", "good", "bad", "bad!"]);
	await db.query("drop table unique_effects");
	warnings.mockRestore();
});
