import { expect, test } from "@jest/globals";
import fc from "fast-check";
import { eventually } from "../../test/support/eventually.ts";
import {
	everySagaEnds,
	neighborsAreUnaffected,
	withoutTakeover,
} from "../../tools/saga-explorer/model.ts";
import { sagaTable } from "../../tools/saga-explorer/table.ts";
import { done, type Outcome, pending, refused, waiting } from "../contracts/outcome.ts";
import { createSagaRunner } from "./runner.ts";
import type { Saga, SagaOptions, SagaStore } from "./saga.ts";

/** A fixed seed; `npm run saga:explore` covers more. A failure reports its seed and path. */
const SEED = 20_260_101;

test("every saga reaches its correct end despite failures, crashes and delays", async () => {
	const totals: Record<string, number> = {};
	await fc.assert(everySagaEnds(totals), { seed: SEED, numRuns: 1500 });
	// The runs are meaningful only if every kind of event occurs.
	const ends = ["completed", "waiting", "closed", "aborted", "stuck", "lost"].map(
		(end) => `reported ${end}`,
	);
	for (const event of [
		...ends,
		"claimed",
		"resumed",
		"approved",
		"rejected",
		"cancelling",
		"shipped",
		"late",
		"twice",
		"refused by a tombstone",
		"skipped",
		"started early",
	])
		expect([event, totals[event]]).toEqual([event, expect.any(Number)]);
});

test("without crashes, the node that began a saga ends it despite lost messages", async () => {
	await fc.assert(withoutTakeover(), { seed: SEED, numRuns: 400 });
});

test("a saga that makes a step fail does not affect its neighbors", async () => {
	await fc.assert(neighborsAreUnaffected(), { seed: SEED, numRuns: 50 });
});

const LEASE = 900;
const timeout = Object.assign(new Error("No response"), { type: "REQUEST_TIMEOUT" });
const never = () => new Promise<never>(() => {});
type Respond = () => Outcome | Promise<Outcome>;
/** Two steps over a table, for any number of nodes. Nothing waits; calls are recorded. */
function setUp(responses: Partial<Record<"do a" | "do b" | "undo a" | "undo b", Respond>> = {}) {
	const time = { now: 0 };
	let pauses = 0;
	const calls: string[] = [];
	const errors: string[] = [];
	const table = sagaTable({ now: () => time.now, leaseMs: LEASE, deadlineMs: 10_000 });
	const step = (name: "a" | "b") => {
		const respond = (way: "do" | "undo") => (all: Saga[]) => {
			calls.push(`${way} ${name} ${all.map(({ id }) => id)}`);
			return Promise.all(all.map(() => responses[`${way} ${name}`]?.() ?? done));
		};
		return { name, expired: "NOT_PAID", execute: respond("do"), compensate: respond("undo") };
	};
	const steps = [step("a"), step("b")];
	const storeOf = (name: string): SagaStore<Saga> => {
		const store = table.as(name);
		return {
			complete: async (all) => store.complete(all),
			markWaiting: async (all) => store.markWaiting(all),
			markCompensating: async (all) => store.markCompensating(all),
			markCompensated: async (all) => store.markCompensated(all),
			abort: async (all) => store.abort(all),
			markStuck: async (all) => store.markStuck(all),
			recordFailures: async (all) => store.recordFailures(all),
			claim: async (limit, running) => store.claim(limit, running),
			heartbeat: async () => store.heartbeat(),
			release: async () => store.release(),
		};
	};
	const node = (name: string, options: Partial<SagaOptions<Saga>> = {}) =>
		createSagaRunner<Saga>({
			steps,
			store: storeOf(name),
			heartbeatMs: LEASE,
			maxCompensationAttempts: 3,
			now: () => time.now,
			pause: (milliseconds) => {
				time.now += milliseconds;
				// Blocks an endless run, so that the test fails.
				return ++pauses > 1000 ? never() : Promise.resolve();
			},
			onError: (saga, where) => errors.push(`${where} ${saga?.id ?? ""}`),
			...options,
		});
	const place = (owner: string, id: string) => table.place(owner, { id, deadline: 10_000 });
	return { table, calls, errors, node, steps, storeOf, place, time };
}

test("concurrent sagas share calls, each with its own outcome", async () => {
	let n = 0;
	const { calls, node, place, table } = setUp({
		"do b": () => (n++ === 1 ? refused("NO", "too far") : done),
	});
	const { run } = node("one");
	const ends = await Promise.all(["1", "2", "3"].map((id) => run(place("one", id))));
	expect(ends).toEqual([
		{ status: "completed" },
		{ status: "closed", reason: "NO", detail: "too far" },
		{ status: "completed" },
	]);
	expect(calls).toEqual(["do a 1,2,3", "do b 1,2,3", "undo b 2", "undo a 2"]);
	expect([...table.rows.values()].map(({ status }) => status)).toEqual([
		"confirmed",
		"cancelled",
		"confirmed",
	]);
});

test("a first step that was started while the saga was stored is executed once", async () => {
	const { calls, node, place } = setUp();
	const { run, startFirstStep } = node("one");
	const saga = { id: "1", direction: "forward", attempt: 1, deadline: 10_000 } as const;
	const first = startFirstStep(saga);
	expect(await run(place("one", "1"), first)).toEqual({ status: "completed" });
	expect(calls).toEqual(["do a 1", "do b 1"]);
});

test("a first step that failed while the saga was stored is repeated", async () => {
	let n = 0;
	const { calls, node, place } = setUp({
		"do a": () => (n++ === 0 ? Promise.reject(new Error("No response")) : done),
	});
	const { run, startFirstStep } = node("one");
	const saga = { id: "1", direction: "forward", attempt: 1, deadline: 10_000 } as const;
	const first = startFirstStep(saga);
	expect(await run(place("one", "1"), first)).toEqual({ status: "completed" });
	expect(calls).toEqual(["do a 1", "do a 1", "do b 1"]);
});

test("the first step of a saga that was not stored is compensated once", async () => {
	const { calls, errors, node } = setUp({
		"undo a": () => Promise.reject(new Error("No response")),
	});
	const { startFirstStep, compensateFirstStep } = node("one");
	const saga = { id: "1", direction: "forward", attempt: 1, deadline: 10_000 } as const;
	await startFirstStep(saga);
	await compensateFirstStep(saga);
	expect(calls).toEqual(["do a 1", "undo a 1"]);
	expect(errors).toEqual(["undo a 1"]);
});

test("skips a step that does not apply, in both directions and without delay", async () => {
	const { calls, node, place, steps } = setUp({ "do b": () => refused("NO") });
	const applies = ({ id }: Saga) => id !== "1";
	const { run } = node("one", {
		steps: steps.map((step, i) => (i === 0 ? { ...step, applies } : step)),
	});
	const running = ["1", "2"].map((id) => run(place("one", id)));
	await Promise.all(running);
	expect(calls.slice().sort()).toEqual([
		"do a 2",
		"do b 1",
		"do b 2",
		"undo a 2",
		"undo b 1",
		"undo b 2",
	]);
	// Both sagas were at their first step in the same turn.
	expect(calls.slice(0, 2).sort()).toEqual(["do a 2", "do b 1"]);
});

test("retries an inconclusive step until the deadline, then compensates", async () => {
	const { calls, errors, node, place } = setUp({
		"do b": () => Promise.reject(new Error("No response")),
	});
	expect(await node("one").run(place("one", "1"))).toEqual({
		status: "closed",
		reason: "TIMED_OUT",
	});
	expect(calls.filter((line) => line === "do b 1").length).toBeGreaterThan(3);
	expect(calls.slice(-2)).toEqual(["undo b 1", "undo a 1"]);
	expect(new Set(errors)).toEqual(new Set(["b 1"]));
});

test("records each failed call of a step and of a compensation, and nothing else", async () => {
	const first = [() => pending, () => Promise.reject(timeout)];
	const undo = [() => pending];
	const { node, place, table, storeOf } = setUp({
		"do a": () => first.shift()?.() ?? done,
		"do b": () => pending,
		"undo b": () => undo.shift()?.() ?? done,
	});
	const recorded: unknown[] = [];
	const store = storeOf("one");
	const recordFailures: typeof store.recordFailures = (failures) => {
		for (const { saga, ...failure } of failures) recorded.push({ id: saga.id, ...failure });
		return store.recordFailures(failures);
	};
	const { run } = node("one", { store: { ...store, recordFailures } });
	expect(await run(place("one", "1"))).toEqual({ status: "closed", reason: "TIMED_OUT" });
	const of = (step: string) => recorded.filter((one) => (one as { step: string }).step === step);
	expect(of("a")).toEqual([
		{ id: "1", step: "a", tries: 1, error: "PENDING", isLast: false },
		{ id: "1", step: "a", tries: 2, error: "REQUEST_TIMEOUT", isLast: false },
	]);
	const b = of("b").map((one) => (one as { isLast: boolean }).isLast);
	expect([b.length > 1, b.indexOf(true)]).toEqual([true, b.length - 1]);
	expect(of("undo b")).toEqual([
		{ id: "1", step: "undo b", tries: 1, error: "PENDING", isLast: false },
	]);
	expect(recorded).toHaveLength(table.rows.get("1")!.failures.length);
});

test("a saga continues although its failures cannot be recorded", async () => {
	let calls = 0;
	const { node, place, storeOf, errors } = setUp({ "do b": () => (++calls < 3 ? pending : done) });
	const recordFailures = () => Promise.reject(timeout);
	const { run } = node("one", { store: { ...storeOf("one"), recordFailures } });
	expect(await run(place("one", "1"))).toEqual({ status: "completed" });
	expect(errors).toEqual(["record failure 1", "record failure 1"]);
});

test("a compensation that keeps failing makes the saga stuck until it is retried", async () => {
	let broken = true;
	const { calls, node, place, table } = setUp({
		"do b": () => refused("NO"),
		"undo a": () => (broken ? pending : done),
	});
	const { run } = node("one");
	expect(await run(place("one", "1"))).toEqual({ status: "stuck", reason: "NO" });
	expect(calls.filter((line) => line === "undo a 1")).toHaveLength(3);
	expect(table.as("one").claim(10, [])).toEqual([]);
	broken = false;
	expect(await run(table.beginCancellation("one", "1", "Once more")!)).toEqual({
		status: "closed",
		reason: "NO",
	});
});

test("parks a saga whose step waits, and continues it after an event on any node", async () => {
	let decided = false;
	const { calls, node, place, table } = setUp({
		"do b": () => (decided ? done : waiting(null, { status: "processing" })),
	});
	expect(await node("one").run(place("one", "1"))).toEqual({ status: "waiting" });
	expect(table.rows.get("1")).toMatchObject({ state: "waiting", owner: null, wakeAt: null });
	decided = true;
	table.resume("1");
	const [resumed] = table.as("two").claim(10, []);
	expect(await node("two").run(resumed!)).toEqual({ status: "completed" });
	expect(calls).toEqual(["do a 1", "do b 1", "do a 1", "do b 1"]);
});

test("an event that arrives just before a saga parks resumes it", async () => {
	const { node, place, table } = setUp({
		"do b": () => {
			table.resume("1");
			return waiting(null);
		},
	});
	expect(await node("one").run(place("one", "1"))).toEqual({ status: "waiting" });
	expect(table.as("two").claim(10, [])).toMatchObject([{ id: "1", attempt: 2 }]);
});

test("compensates a saga that waits at its deadline, and can wait beyond its own", async () => {
	const { calls, node, place, table, time } = setUp({
		"do b": () => waiting(new Date(20_000).toISOString(), { client_secret: "secret" }),
	});
	const one = node("one");
	await one.run(place("one", "1"));
	expect(table.as("one").claim(10, [])).toEqual([]);
	time.now = 20_000;
	const [due] = table.as("one").claim(10, []);
	expect(await one.run(due!)).toEqual({ status: "closed", reason: "NOT_PAID" });
	expect(calls.slice(-2)).toEqual(["undo b 1", "undo a 1"]);
});

test("a completed saga stays completed if its last step refuses compensation", async () => {
	const { calls, node, place, table } = setUp({ "undo b": () => refused("GONE") });
	const { run } = node("one");
	await run(place("one", "1"));
	expect(await run(table.beginCancellation("one", "1", "Please")!)).toEqual({
		status: "aborted",
		reason: "GONE",
	});
	expect(table.rows.get("1")).toMatchObject({ status: "confirmed", state: null });
	expect(calls).not.toContain("undo a 1");
});

test("a stopping node finishes its run and claims nothing", async () => {
	let respond: (outcome: Outcome) => void = () => {};
	const { node, place, table } = setUp({
		"do b": () => new Promise<Outcome>((resolve) => (respond = resolve)),
	});
	let heartbeats = 0;
	const countHeartbeat = () => {
		heartbeats++;
		return new Promise<void>((resolve) => setImmediate(resolve));
	};
	// Heartbeats continue, and the grace period outlasts the run.
	const one = node("one", {
		pause: (milliseconds) => (milliseconds === LEASE ? countHeartbeat() : never()),
	});
	const running = one.run(place("one", "1"));
	await one.start();
	const stopped = one.stop();
	place("gone", "2");
	const before = heartbeats;
	await eventually(() => expect(heartbeats).toBeGreaterThan(before + 2));
	respond(done);
	expect(await running).toEqual({ status: "completed" });
	await stopped;
	expect(table.rows.get("2")).toMatchObject({ owner: "gone", attempt: 1 });
});

test("a stopping node releases its late claims immediately", async () => {
	let proceed = () => {};
	let respond: (outcome: Outcome) => void = () => {};
	const { calls, node, storeOf, place, table } = setUp({
		"do a": () => new Promise<Outcome>((resolve) => (respond = resolve)),
	});
	place("gone", "1");
	const store = storeOf("one");
	const claim: typeof store.claim = async (limit, running) => {
		const claimed = await store.claim(limit, running);
		await new Promise<void>((resolve) => (proceed = resolve));
		return claimed;
	};
	const one = node("one", { store: { ...store, claim }, pause: never });
	await one.start();
	await eventually(() => expect(table.rows.get("1")).toMatchObject({ owner: "one" }));
	const running = one.run(place("one", "2"));
	await eventually(() => expect(calls).toEqual(["do a 2"]));
	const stopped = one.stop();
	proceed();
	respond(done);
	expect(await running).toEqual({ status: "completed" });
	await stopped;
	expect(calls).toEqual(["do a 2", "do b 2"]);
	expect(await storeOf("two").claim(10, [])).toMatchObject([{ id: "1", attempt: 3 }]);
});

test("another node continues an unfinished saga at once; the stopped node is idle", async () => {
	let silent = true;
	const { calls, node, place, table } = setUp({
		"do b": () => (silent ? Promise.reject(new Error("No response")) : done),
	});
	const held: (() => void)[] = [];
	const one = node("one", {
		pause: (milliseconds) =>
			milliseconds < LEASE ? new Promise((resolve) => held.push(resolve)) : Promise.resolve(),
	});
	table.as("one").heartbeat();
	const running = one.run(place("one", "1"));
	await eventually(() => expect(held).toHaveLength(1));
	await one.stop();
	silent = false;
	calls.length = 0;
	await node("two", { pause: never }).start();
	await eventually(() =>
		expect(table.rows.get("1")).toMatchObject({ status: "confirmed", attempt: 2 }),
	);
	for (const proceed of held) proceed();
	expect(await running).toEqual({ status: "lost" });
	expect(calls).toEqual(["do a 1", "do b 1"]);
});
