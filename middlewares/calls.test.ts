import { afterAll, beforeAll, describe, expect, jest, test } from "@jest/globals";
import type { Context, ServiceBroker, ServiceSchema } from "moleculer";
import { Errors } from "moleculer";
import { currentLogFields } from "../lib/context/call-context.ts";
import { type Ctx, contract, contractError } from "../lib/contracts/contract.ts";
import { commonError } from "../lib/contracts/errors.ts";
import { openBreakers } from "../lib/resilience/circuit-breakers.ts";
import { isOutage } from "../lib/resilience/outages.ts";
import { defineService } from "../lib/service/define-service.ts";
import { eventually } from "../test/support/eventually.ts";
import { fakeNodes } from "./test/fake-nodes.ts";

const n = { n: { type: "number", optional: true } } as const;
const anything = { type: "any" } as const;
const things = contract({
	name: "things",
	actions: {
		read: { params: n, returns: anything, retry: true },
		write: { params: n, returns: anything },
		brief: { params: n, returns: anything, timeout: 100 },
		costly: { params: n, returns: anything, bulkhead: { concurrency: 1, queue: 1 } },
	},
	errors: { NO: { status: 409, message: "No" } },
});
const outer = contract({
	name: "outer",
	actions: { read: { params: {}, returns: anything, retry: true } },
});
const never = () => new Promise<never>(() => undefined);

type Handler = (ctx: Ctx<{ n?: number }>) => Promise<unknown>;
const thingsBy = (handler: Handler) =>
	defineService(things)({
		actions: { read: handler, write: handler, brief: handler, costly: handler },
	});

const nodes = fakeNodes();
/** @param halfOpenTime milliseconds until an open circuit breaker allows a trial call */
const startNode = (schemas: ServiceSchema[] = [], halfOpenTime?: number) =>
	nodes.start(schemas, {
		...(halfOpenTime ? { halfOpenTime } : {}),
		transit: { serviceChangedDebounceTime: 1 } as object,
	});
const waitForCount = (broker: ServiceBroker, action: string, count: number) =>
	eventually(() => expect(broker.registry.actions.get(action)?.count()).toBe(count));

/** A caller, and one node per handler. */
async function startThings(...handlers: Handler[]) {
	const [caller, ...nodes] = await Promise.all([
		startNode(),
		...handlers.map((handler) => startNode([thingsBy(handler)])),
	]);
	await waitForCount(caller, "things.read", handlers.length);
	return { caller: caller!, nodes };
}
const failWith =
	(error: unknown): Handler =>
	() =>
		Promise.reject(error);
const repeat = async (times: number, call: () => Promise<unknown>) => {
	for (let i = 0; i < times; i++) await call().catch(() => undefined);
};

test("a nested call is limited by its contract and by its caller's remaining time", async () => {
	const timeOf: Handler = async (ctx) => (ctx as unknown as Context).options.timeout;
	const nested = contract({
		name: "nested",
		actions: { call: { params: { action: { type: "string" } }, returns: anything } },
	});
	const { nodes } = await startThings(timeOf);
	nodes[0]!.createService(
		defineService(nested)({
			actions: { call: (ctx) => (ctx as unknown as Context).call(ctx.params.action) },
		}) as never,
	);
	const callNested = (action: string, timeout: number) =>
		nodes[0]!.call<number, object>("nested.call", { action }, { timeout });
	await eventually(() => callNested("things.brief", 5000));
	expect(await callNested("things.brief", 5000)).toBe(100);
	expect(await callNested("things.brief", 50)).toBeLessThanOrEqual(50);
	const left = await callNested("things.write", 5000);
	expect(left).toBeLessThanOrEqual(5000);
	expect(left).toBeGreaterThan(100);
});

test("shared call options are not modified", async () => {
	const { caller, nodes } = await startThings(async () => 1);
	const options = { meta: {} };
	for (const broker of [caller, nodes[0]!]) await broker.call("things.brief", {}, options);
	expect(options).toEqual({ meta: {} });
});

test("a read lost with its node is repeated on another; a write is not", async () => {
	const called: string[] = [];
	let lose: (() => void) | undefined;
	const losing: Handler = (ctx) => {
		called.push(`first ${ctx.action!.name}`);
		lose!();
		return never();
	};
	const { caller, nodes } = await startThings(losing, async (ctx) => {
		called.push(`second ${ctx.action!.name}`);
		(ctx.meta as { handledBy?: string }).handledBy = "second";
		return 2;
	});
	lose = () => caller.registry.nodes.disconnected(nodes[0]!.nodeID, true);
	const meta: { handledBy?: string } = {};
	// Whichever node is called first, the second one responds.
	await eventually(async () => {
		await waitForCount(caller, "things.read", 2);
		expect(await caller.call("things.read", {}, { meta })).toBe(2);
		expect(called.slice(-2)).toEqual(["first things.read", "second things.read"]);
	});
	expect(meta.handledBy).toBe("second");
	called.length = 0;
	await eventually(async () => {
		await waitForCount(caller, "things.read", 2);
		await expect(caller.call("things.write")).rejects.toMatchObject({ type: "REQUEST_REJECTED" });
		expect(called.at(-1)).toBe("first things.write");
	});
});

test("a read that times out is repeated within the same time limit", async () => {
	const times: number[] = [];
	const { caller } = await startThings(async (ctx) => {
		const attempt = times.push((ctx as unknown as Context).options.timeout!);
		return attempt === 1 ? never() : attempt;
	});
	// On a busy machine, the second attempt needs more than a few hundred milliseconds.
	expect(await caller.call("things.read", {}, { timeout: 8000 })).toBe(2);
	expect(times[0]).toBeLessThanOrEqual(4000);
	expect(times[0]! + times[1]!).toBeLessThanOrEqual(8000);
});

test("a read is not repeated when the pause before it ends after its deadline", async () => {
	let called = 0;
	const { caller } = await startThings(async () => {
		if (++called === 1) throw new Errors.RequestRejectedError({ action: "others.read" } as never);
		return "late";
	});
	const now = Date.now;
	const clock = jest.spyOn(Date, "now");
	try {
		// Called directly before the pause.
		jest.spyOn(caller.logger, "warn").mockImplementation(() => {
			clock.mockImplementation(() => now() + 10_000);
		});
		await expect(caller.call("things.read", {}, { timeout: 10_000 })).rejects.toMatchObject({
			type: "REQUEST_REJECTED",
		});
	} finally {
		clock.mockRestore();
	}
	expect(called).toBe(1);
});

test("calls rejected by a stopping node are repeated at most twice", async () => {
	let called = 0;
	let drops = 1;
	const { caller, nodes } = await startThings(async (ctx) => {
		called++;
		if (drops-- > 0)
			throw new Errors.ServiceNotAvailableError({
				action: ctx.action!.name!,
				nodeID: nodes[0]!.nodeID,
			});
		return "done";
	});
	expect(await caller.call("things.write")).toBe("done");
	drops = 10;
	called = 0;
	await expect(caller.call("things.read")).rejects.toMatchObject({ type: "SERVICE_NOT_AVAILABLE" });
	expect(called).toBe(3);
});

test("retries do not multiply in nested calls", async () => {
	let called = 0;
	const { caller } = await startThings(async () => {
		called++;
		throw new Errors.RequestRejectedError({ action: "others.read" } as never);
	});
	await startNode([
		defineService(outer)({
			actions: { read: (ctx) => ctx.call("things.read" as never) as Promise<unknown> },
		}),
	]);
	await waitForCount(caller, "outer.read", 1);
	await expect(caller.call("outer.read")).rejects.toMatchObject({ type: "REQUEST_REJECTED" });
	expect(called).toBe(3);
});

test("a conclusive error is not retried", async () => {
	let called = 0;
	const { caller } = await startThings(async () => {
		called++;
		throw contractError(things, "NO", { why: "because" });
	});
	await expect(caller.call("things.read")).rejects.toMatchObject({
		type: "NO",
		code: 409,
		data: { why: "because" },
	});
	expect(called).toBe(1);
});

test("a breaker opens for a node that does not respond, and calls use another", async () => {
	const { caller, nodes } = await startThings(never, async () => 2);
	await repeat(12, () => caller.call("things.write", {}, { timeout: 20 }));
	expect(openBreakers(caller)).toEqual([
		expect.objectContaining({ action: "things.write", node: nodes[0]!.nodeID, state: "open" }),
	]);
	expect(await caller.call("$node.breakers")).toEqual(openBreakers(caller));
	for (let i = 0; i < 4; i++) expect(await caller.call("things.write")).toBe(2);
});

test("a breaker opens after five consecutive failures, not after four in five", async () => {
	let calls = 0;
	let fails = (_call: number) => false;
	const { caller } = await startThings(async () => {
		if (fails(calls++)) throw new Error("broken");
		if (calls % 2) throw contractError(things, "NO");
	});
	await repeat(30, () => caller.call("things.write"));
	calls = 0;
	fails = (call) => call % 5 !== 4;
	await repeat(30, () => caller.call("things.write"));
	expect(calls).toBe(30);
	fails = () => true;
	await repeat(10, () => caller.call("things.write"));
	expect(calls).toBe(35);
	expect(openBreakers(caller)).toEqual([expect.objectContaining({ state: "open", failures: 5 })]);
});

test("a breaker of the only node rejects calls, half-opens, and closes on success", async () => {
	let handler: Handler = never;
	let called = 0;
	const counting: Handler = (ctx) => {
		called++;
		return handler(ctx);
	};
	const [caller] = await Promise.all([startNode([], 1000), startNode([thingsBy(counting)])]);
	await waitForCount(caller, "things.write", 1);
	const breakerEvents: string[] = [];
	caller.localBus.on("$circuit-breaker.*", function (this: { event: string }) {
		breakerEvents.push(this.event);
	});
	await repeat(5, () => caller.call("things.write", {}, { timeout: 20 }));
	called = 0;
	const refusal = await caller.call("things.write").catch((error) => error);
	expect(isOutage(refusal)).toBe(true);
	expect(called).toBe(0);
	handler = async () => "well";
	expect(await eventually(() => caller.call("things.write"))).toBe("well");
	expect(called).toBe(1);
	expect(openBreakers(caller)).toEqual([]);
	expect(breakerEvents).toEqual([
		"$circuit-breaker.opened",
		"$circuit-breaker.half-opened",
		"$circuit-breaker.closed",
	]);
});

test("connection failures, errors without a code and internal errors open a breaker", async () => {
	const errors: Record<string, Error> = {
		"things.write": Object.assign(new Error("connect ECONNREFUSED"), { code: "ECONNREFUSED" }),
		"things.brief": new TypeError("x is undefined"),
		"things.costly": commonError("INTERNAL_ERROR"),
	};
	const { caller } = await startThings((ctx) => Promise.reject(errors[ctx.action!.name!]));
	for (const action of Object.keys(errors)) await repeat(5, () => caller.call(action));
	expect(openBreakers(caller).map(({ action }) => action)).toEqual(Object.keys(errors));
});

describe("no breaker is opened by", () => {
	let error: Error;
	let caller: ServiceBroker;
	const sharedBrokers: ServiceBroker[] = [];
	beforeAll(async () => {
		({ caller } = await startThings(() => Promise.reject(error)));
		sharedBrokers.push(...nodes.brokers.splice(0));
	});
	afterAll(() => Promise.all(sharedBrokers.map((broker) => broker.stop())));

	test.each([
		["an error of the contract", contractError(things, "NO")],
		["wrong parameters", new Errors.ValidationError("Wrong", "VALIDATION_ERROR", [])],
		["an overloaded node", commonError("SERVICE_UNAVAILABLE")],
		["a full queue", new Errors.QueueIsFullError({ action: "things.write" } as never)],
		[
			"a timeout of a third node",
			new Errors.RequestTimeoutError({ action: "others.read", nodeID: "third" }),
		],
		[
			"an unavailable third service",
			new Errors.ServiceNotAvailableError({ action: "others.read" } as never),
		],
		[
			"a lost third node",
			new Errors.RequestRejectedError({ action: "others.read", nodeID: "third" }),
		],
		["a failure of a third node", Object.assign(new Error("oops"), { nodeID: "third" })],
	])("%s", async (_what, thrown) => {
		error = thrown;
		await repeat(8, () => caller.call("things.write"));
		await expect(caller.call("things.write")).rejects.toMatchObject({ message: error.message });
		expect(openBreakers(caller)).toEqual([]);
	});
});

test("a breaker still opens for a node that was lost and returned", async () => {
	let handler: Handler = async () => 1;
	const { caller, nodes } = await startThings((ctx) => handler(ctx));
	await caller.call("things.write");
	caller.registry.nodes.disconnected(nodes[0]!.nodeID, true);
	await eventually(() => expect(caller.registry.actions.isAvailable("things.write")).toBe(true));
	handler = failWith(new Error("broken"));
	await repeat(5, () => caller.call("things.write"));
	await expect(caller.call("things.write")).rejects.toMatchObject({
		type: "SERVICE_NOT_AVAILABLE",
	});
});

test("failures within a process open no breaker, also when called from another node", async () => {
	let broken = true;
	const { caller, nodes } = await startThings(async () => {
		if (broken) throw new Error("the database is gone");
		return "well";
	});
	await repeat(10, () => nodes[0]!.call("things.write"));
	await repeat(4, () => caller.call("things.write"));
	broken = false;
	expect(await nodes[0]!.call("things.write")).toBe("well");
	expect(await caller.call("things.write")).toBe("well");
});

test("a bulkhead limits concurrent calls and rejects excess ones as an outage", async () => {
	const { promise: opened, resolve: open } = Promise.withResolvers<void>();
	let running = 0;
	let most = 0;
	const { caller } = await startThings(async () => {
		most = Math.max(most, ++running);
		await opened;
		running--;
	});
	const calls = Array.from({ length: 4 }, () => caller.call("things.costly"));
	const refused = await Promise.any(
		calls.map((call) => call.then(Promise.reject.bind(Promise), (error) => error)),
	);
	expect(isOutage(refused)).toBe(true);
	open();
	const outcomes = await Promise.allSettled(calls);
	expect(outcomes.map(({ status }) => status).sort()).toEqual([
		"fulfilled",
		"fulfilled",
		"rejected",
		"rejected",
	]);
	expect(most).toBe(1);
});

describe("a call that waits in the queue of a bulkhead", () => {
	/**
	 * The handler blocks its first call until `release`, and records the log context and number of
	 * each call.
	 */
	async function startHeld() {
		const { promise, resolve: release } = Promise.withResolvers<void>();
		const executed: { n: number | undefined; user: string | undefined }[] = [];
		const { nodes } = await startThings(async (ctx) => {
			executed.push({ n: ctx.params.n, user: currentLogFields().user_id });
			await promise;
		});
		const call = (n: number, timeout: number) =>
			nodes[0]!.call(
				"things.costly",
				{ n },
				{ timeout, meta: { user: { id: `user ${n}` } } as object },
			);
		return { call, executed, release };
	}

	test("is executed in its own log context", async () => {
		const { call, executed, release } = await startHeld();
		const calls = [call(1, 5000), call(2, 5000)];
		await eventually(() => expect(executed).toHaveLength(1));
		release();
		await Promise.all(calls);
		expect(executed).toEqual([
			{ n: 1, user: "user 1" },
			{ n: 2, user: "user 2" },
		]);
	});

	test("is not executed when its caller has timed out", async () => {
		const { call, executed, release } = await startHeld();
		const first = call(1, 5000);
		await eventually(() => expect(executed).toHaveLength(1));
		const second = call(2, 50);
		const deadline = performance.now() + 50;
		await expect(second).rejects.toMatchObject({ type: "REQUEST_TIMEOUT" });
		// A timer counts from the start of its turn of the event loop, so it may fire before.
		await eventually(() => expect(performance.now()).toBeGreaterThan(deadline));
		release();
		await first;
		await call(3, 5000);
		expect(executed.map(({ n }) => n)).toEqual([1, 3]);
	});
});
