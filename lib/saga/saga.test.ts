import { expect, jest, test } from "@jest/globals";
import fc from "fast-check";
import { eventually } from "../../test/support/eventually.ts";
import {
	everySagaEnds,
	neighborsAreUnaffected,
	withoutTakeover,
} from "../../tools/saga-explorer/model.ts";
import { sagaTable } from "../../tools/saga-explorer/table.ts";
import { done, type Outcome, pending, refused } from "../contracts/outcome.ts";
import { createSagaRunner, type Saga, type SagaOptions, type SagaStore } from "./saga.ts";

// A few seconds, but the machine may have other things to do.
jest.setTimeout(180_000);
/** Always the same runs; `npm run saga:explore` goes further. A failure names its seed and its path. */
const SEED = 20_260_101;

test("whatever fails, crashes, pauses and comes late, every saga comes to its one right end", async () => {
	const totals: Record<string, number> = {};
	await fc.assert(everySagaEnds(totals), { seed: SEED, numRuns: 1500 });
	// The runs are worth something only if everything happens in them.
	const happened = ["completed", "closed", "aborted", "stuck", "lost"].map((end) => `told ${end}`);
	for (const what of [
		...happened,
		"claimed",
		"taken back",
		"shipped",
		"late",
		"twice",
		"refused by a tombstone",
	])
		expect([what, totals[what]]).toEqual([what, expect.any(Number)]);
});

test("while nodes live, whoever began a saga ends it, however many messages get lost", async () => {
	await fc.assert(withoutTakeover(), { seed: SEED, numRuns: 400 });
});

test("a saga that no step can work on fails alone", async () => {
	await fc.assert(neighborsAreUnaffected(), { seed: SEED, numRuns: 50 });
});

const LEASE = 900;
const never = () => new Promise<never>(() => {});
type Answer = () => Outcome | Promise<Outcome>;
/** Two steps over a table, on as many nodes as a test makes. Nothing waits; what is asked is written down. */
function workshop(answers: Partial<Record<"do a" | "do b" | "undo a" | "undo b", Answer>> = {}) {
	let clock = 0;
	let pauses = 0;
	const asked: string[] = [];
	const troubles: string[] = [];
	const table = sagaTable({ now: () => clock, leaseMs: LEASE });
	const step = (name: "a" | "b") => {
		const answer = (way: "do" | "undo") => (all: Saga[]) => {
			asked.push(`${way} ${name} ${all.map(({ id }) => id)}`);
			return Promise.all(all.map(() => answers[`${way} ${name}`]?.() ?? done));
		};
		return { name, execute: answer("do"), compensate: answer("undo") };
	};
	const storeOf = (name: string): SagaStore<Saga> => {
		const store = table.as(name);
		return {
			complete: async (all) => store.complete(all),
			markCompensating: async (all) => store.markCompensating(all),
			markCompensated: async (all) => store.markCompensated(all),
			abort: async (all) => store.abort(all),
			markStuck: async (all) => store.markStuck(all),
			claim: async (limit, running) => store.claim(limit, running),
			heartbeat: async () => store.heartbeat(),
			release: async () => store.release(),
		};
	};
	const node = (name: string, options: Partial<SagaOptions<Saga>> = {}) =>
		createSagaRunner<Saga>({
			steps: [step("a"), step("b")],
			store: storeOf(name),
			heartbeatMs: LEASE,
			maxCompensationAttempts: 3,
			now: () => clock,
			pause: (milliseconds) => {
				clock += milliseconds;
				// Who goes on for ever is held up, for the test to notice.
				return ++pauses > 1000 ? never() : Promise.resolve();
			},
			onError: (saga, where) => troubles.push(`${where} ${saga?.id ?? ""}`),
			...options,
		});
	const place = (owner: string, id: string) => table.place(owner, { id, deadline: 10_000 });
	return { table, asked, troubles, node, storeOf, place };
}

test("sagas that reach a step together travel together, each with its own outcome", async () => {
	let n = 0;
	const { asked, node, place, table } = workshop({
		"do b": () => (n++ === 1 ? refused("NO", "too far") : done),
	});
	const { run } = node("one");
	const ends = await Promise.all(["1", "2", "3"].map((id) => run(place("one", id))));
	expect(ends).toEqual([
		{ status: "completed" },
		{ status: "closed", reason: "NO", detail: "too far" },
		{ status: "completed" },
	]);
	expect(asked).toEqual(["do a 1,2,3", "do b 1,2,3", "undo b 2", "undo a 2"]);
	expect([...table.rows.values()].map(({ status }) => status)).toEqual([
		"confirmed",
		"cancelled",
		"confirmed",
	]);
});

test("what says nothing is asked again until the deadline, and undone then", async () => {
	const { asked, troubles, node, place } = workshop({
		"do b": () => Promise.reject(new Error("No answer")),
	});
	expect(await node("one").run(place("one", "1"))).toEqual({
		status: "closed",
		reason: "TIMED_OUT",
	});
	expect(asked.filter((line) => line === "do b 1").length).toBeGreaterThan(3);
	expect(asked.slice(-2)).toEqual(["undo b 1", "undo a 1"]);
	expect(new Set(troubles)).toEqual(new Set(["b 1"]));
});

test("an undo that keeps failing is tried as often as allowed; the saga is stuck then, until it is taken back again", async () => {
	let broken = true;
	const { asked, node, place, table } = workshop({
		"do b": () => refused("NO"),
		"undo a": () => (broken ? pending : done),
	});
	const { run } = node("one");
	expect(await run(place("one", "1"))).toEqual({ status: "stuck", reason: "NO" });
	expect(asked.filter((line) => line === "undo a 1")).toHaveLength(3);
	expect(table.as("one").claim(10, [])).toEqual([]);
	broken = false;
	expect(await run(table.takeBack("one", "1", "Once more")!)).toEqual({
		status: "closed",
		reason: "NO",
	});
});

test("what was complete before stays so when the last step refuses to be undone", async () => {
	const { asked, node, place, table } = workshop({ "undo b": () => refused("GONE") });
	const { run } = node("one");
	await run(place("one", "1"));
	expect(await run(table.takeBack("one", "1", "Please")!)).toEqual({
		status: "aborted",
		reason: "GONE",
	});
	expect(table.rows.get("1")).toMatchObject({ status: "confirmed", state: null });
	expect(asked).not.toContain("undo a 1");
});

test("a node that stops lets a run finish, and takes nothing new", async () => {
	let answer: (outcome: Outcome) => void = () => {};
	const { node, place, table } = workshop({
		"do b": () => new Promise<Outcome>((resolve) => (answer = resolve)),
	});
	let beats = 0;
	const beating = () => {
		beats++;
		return new Promise<void>((resolve) => setImmediate(resolve));
	};
	// It beats, and its grace is not over before the run is.
	const one = node("one", {
		pause: (milliseconds) => (milliseconds === LEASE ? beating() : never()),
	});
	const running = one.run(place("one", "1"));
	await one.start();
	const stopped = one.stop();
	place("gone", "2");
	const before = beats;
	await eventually(() => expect(beats).toBeGreaterThan(before + 2));
	answer(done);
	expect(await running).toEqual({ status: "completed" });
	await stopped;
	expect(table.rows.get("2")).toMatchObject({ owner: "gone", attempt: 1 });
});

test("what a node has claimed while it was being stopped it leaves to others at once", async () => {
	let goOn = () => {};
	let answer: (outcome: Outcome) => void = () => {};
	const { asked, node, storeOf, place, table } = workshop({
		"do a": () => new Promise<Outcome>((resolve) => (answer = resolve)),
	});
	place("gone", "1");
	const store = storeOf("one");
	const claim: typeof store.claim = async (limit, running) => {
		const claimed = await store.claim(limit, running);
		await new Promise<void>((resolve) => (goOn = resolve));
		return claimed;
	};
	const one = node("one", { store: { ...store, claim }, pause: never });
	await one.start();
	await eventually(() => expect(table.rows.get("1")).toMatchObject({ owner: "one" }));
	const running = one.run(place("one", "2"));
	await eventually(() => expect(asked).toEqual(["do a 2"]));
	const stopped = one.stop();
	goOn();
	answer(done);
	expect(await running).toEqual({ status: "completed" });
	await stopped;
	expect(asked).toEqual(["do a 2", "do b 2"]);
	expect(await storeOf("two").claim(10, [])).toMatchObject([{ id: "1", attempt: 3 }]);
});

test("what a node could not finish before it stopped is another's at once, and the stopped node asks nothing more", async () => {
	let silent = true;
	const { asked, node, place, table } = workshop({
		"do b": () => (silent ? Promise.reject(new Error("No answer")) : done),
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
	asked.length = 0;
	await node("two", { pause: never }).start();
	await eventually(() =>
		expect(table.rows.get("1")).toMatchObject({ status: "confirmed", attempt: 2 }),
	);
	for (const goOn of held) goOn();
	expect(await running).toEqual({ status: "lost" });
	expect(asked).toEqual(["do a 1", "do b 1"]);
});
