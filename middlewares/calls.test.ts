import { afterAll, afterEach, beforeAll, describe, expect, test } from "@jest/globals";
import type { Context, ServiceBroker } from "moleculer";
import { Errors } from "moleculer";
import { currentLogFields } from "../lib/context/call-context.ts";
import { type Ctx, contract, contractError } from "../lib/contracts/contract.ts";
import { commonError } from "../lib/contracts/errors.ts";
import { openBreakers } from "../lib/resilience/circuit-breakers.ts";
import { isOutage } from "../lib/resilience/outages.ts";
import { defineService } from "../lib/service/define-service.ts";
import { readEnv } from "../lib/settings/env.ts";
import { createNode } from "../lib/settings/node.ts";
import { brokerOptions } from "../moleculer.config.ts";
import { eventually } from "../test/support/eventually.ts";

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

const brokers: ServiceBroker[] = [];
/** A node like any other, in this process; what nodes say to each other goes through JSON as it would over NATS. */
async function startNode(schemas: Parameters<typeof createNode>[2] = []): Promise<ServiceBroker> {
	const env = readEnv({ LOGLEVEL: "fatal", NODE_ENV: "test", DRAIN_MS: "1" });
	const { circuitBreaker, ...options } = brokerOptions(env);
	const quick = {
		transit: { serviceChangedDebounceTime: 1 } as object,
		circuitBreaker: { ...circuitBreaker!, halfOpenTime: 300 },
	};
	const broker = createNode({ ...options, transporter: "Fake", ...quick }, env, schemas);
	brokers.push(broker);
	await broker.start();
	return broker;
}
afterEach(() => Promise.all(brokers.splice(0).map((broker) => broker.stop())));
const sees = (broker: ServiceBroker, action: string, count: number) =>
	eventually(() => expect(broker.registry.actions.get(action)?.count()).toBe(count));

/** A caller, and nodes that answer with their number, or do what they are told. */
async function startThings(...handlers: Handler[]) {
	const [caller, ...nodes] = await Promise.all([
		startNode(),
		...handlers.map((handler) => startNode([thingsBy(handler)])),
	]);
	await sees(caller, "things.read", handlers.length);
	return { caller: caller!, nodes };
}
const failWith =
	(error: unknown): Handler =>
	() =>
		Promise.reject(error);
const repeat = async (times: number, call: () => Promise<unknown>) => {
	for (let i = 0; i < times; i++) await call().catch(() => undefined);
};

test("a call within a call has no more time than its contract says, nor than its caller has left", async () => {
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
	const ask = (action: string, timeout: number) =>
		nodes[0]!.call<number, object>("nested.call", { action }, { timeout });
	await eventually(() => ask("things.brief", 5000));
	expect(await ask("things.brief", 5000)).toBe(100);
	expect(await ask("things.brief", 50)).toBeLessThanOrEqual(50);
	const left = await ask("things.write", 5000);
	expect(left).toBeLessThanOrEqual(5000);
	expect(left).toBeGreaterThan(100);
});

test("options that several calls share stay as they are", async () => {
	const { caller, nodes } = await startThings(async () => 1);
	const options = { meta: {} };
	for (const broker of [caller, nodes[0]!]) await broker.call("things.brief", {}, options);
	expect(options).toEqual({ meta: {} });
});

test("a read whose answer was lost with its node is asked of another; a write is not", async () => {
	const asked: string[] = [];
	let lose: (() => void) | undefined;
	const losing: Handler = (ctx) => {
		asked.push(`first ${ctx.action!.name}`);
		lose!();
		return never();
	};
	const { caller, nodes } = await startThings(losing, async (ctx) => {
		asked.push(`second ${ctx.action!.name}`);
		(ctx.meta as { answered?: string }).answered = "second";
		return 2;
	});
	lose = () => caller.registry.nodes.disconnected(nodes[0]!.nodeID, true);
	const meta: { answered?: string } = {};
	// Whichever node is first asked, the second one answers.
	await eventually(async () => {
		await sees(caller, "things.read", 2);
		expect(await caller.call("things.read", {}, { meta })).toBe(2);
		expect(asked.slice(-2)).toEqual(["first things.read", "second things.read"]);
	});
	expect(meta.answered).toBe("second");
	asked.length = 0;
	await eventually(async () => {
		await sees(caller, "things.read", 2);
		await expect(caller.call("things.write")).rejects.toMatchObject({ type: "REQUEST_REJECTED" });
		expect(asked.at(-1)).toBe("first things.write");
	});
});

test("a read whose answer does not come is asked again within the same time", async () => {
	const times: number[] = [];
	const { caller } = await startThings((ctx) => {
		times.push((ctx as unknown as Context).options.timeout!);
		return never();
	});
	await expect(caller.call("things.read", {}, { timeout: 1200 })).rejects.toMatchObject({
		type: "REQUEST_TIMEOUT",
	});
	expect(times.length).toBeGreaterThan(1);
	expect(times.reduce((sum, time) => sum + time, 0)).toBeLessThanOrEqual(1200);
});

test("whatever a node drops because it is about to end is sent again, twice at most", async () => {
	let asked = 0;
	let drops = 1;
	const { caller, nodes } = await startThings(async (ctx) => {
		asked++;
		if (drops-- > 0)
			throw new Errors.ServiceNotAvailableError({
				action: ctx.action!.name!,
				nodeID: nodes[0]!.nodeID,
			});
		return "done";
	});
	expect(await caller.call("things.write")).toBe("done");
	drops = 10;
	asked = 0;
	await expect(caller.call("things.read")).rejects.toMatchObject({ type: "SERVICE_NOT_AVAILABLE" });
	expect(asked).toBe(3);
});

test("tries do not multiply through calls within calls", async () => {
	let asked = 0;
	const { caller } = await startThings(() => {
		asked++;
		return never();
	});
	await startNode([
		defineService(outer)({
			actions: { read: (ctx) => ctx.call("things.read" as never) as Promise<unknown> },
		}),
	]);
	await sees(caller, "outer.read", 1);
	await expect(caller.call("outer.read", {}, { timeout: 2000 })).rejects.toMatchObject({
		type: expect.stringMatching(/^REQUEST_/),
	});
	expect(asked).toBeGreaterThan(1);
	expect(asked).toBeLessThanOrEqual(3);
});

test("an answer that says no is not asked for again", async () => {
	let asked = 0;
	const { caller } = await startThings(async () => {
		asked++;
		throw contractError(things, "NO", { why: "because" });
	});
	await expect(caller.call("things.read")).rejects.toMatchObject({
		type: "NO",
		code: 409,
		data: { why: "because" },
	});
	expect(asked).toBe(1);
});

test("a breaker opens when a node does not answer, and its calls go to another", async () => {
	const { caller, nodes } = await startThings(never, async () => 2);
	await repeat(12, () => caller.call("things.write", {}, { timeout: 20 }));
	expect(openBreakers(caller)).toEqual([
		expect.objectContaining({ action: "things.write", node: nodes[0]!.nodeID, state: "open" }),
	]);
	expect(await caller.call("$node.breakers")).toEqual(openBreakers(caller));
	for (let i = 0; i < 4; i++) expect(await caller.call("things.write")).toBe(2);
});

test("a breaker opens after five failures in a row, however much went well before, and not when one in five goes well", async () => {
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

test("a breaker of the only node refuses at once as an outage, lets one call through after a while, and closes when that is answered", async () => {
	let handler: Handler = never;
	let asked = 0;
	const { caller } = await startThings((ctx) => {
		asked++;
		return handler(ctx);
	});
	const told: string[] = [];
	caller.localBus.on("$circuit-breaker.*", function (this: { event: string }) {
		told.push(this.event);
	});
	await repeat(5, () => caller.call("things.write", {}, { timeout: 20 }));
	asked = 0;
	const refusal = await caller.call("things.write").catch((error) => error);
	expect(isOutage(refusal)).toBe(true);
	expect(asked).toBe(0);
	handler = async () => "well";
	expect(await eventually(() => caller.call("things.write"))).toBe("well");
	expect(asked).toBe(1);
	expect(openBreakers(caller)).toEqual([]);
	expect(told).toEqual([
		"$circuit-breaker.opened",
		"$circuit-breaker.half-opened",
		"$circuit-breaker.closed",
	]);
});

test("a connection that a node could not make, an error without a code and an internal error open a breaker", async () => {
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
	const kept: ServiceBroker[] = [];
	beforeAll(async () => {
		({ caller } = await startThings(() => Promise.reject(error)));
		kept.push(...brokers.splice(0));
	});
	afterAll(() => Promise.all(kept.map((broker) => broker.stop())));

	test.each([
		["an error of ours", contractError(things, "NO")],
		["wrong parameters", new Errors.ValidationError("Wrong", "VALIDATION_ERROR", [])],
		["a node that has no room", commonError("SERVICE_UNAVAILABLE")],
		["a full queue", new Errors.QueueIsFullError({ action: "things.write" } as never)],
		[
			"a third node that did not answer",
			new Errors.RequestTimeoutError({ action: "others.read", nodeID: "third" }),
		],
		[
			"a third service that is not there",
			new Errors.ServiceNotAvailableError({ action: "others.read" } as never),
		],
		[
			"a third node that was lost",
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

test("a breaker still opens against a node that was lost and came back", async () => {
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

test("failures of a service in the same process open nothing, also when it is called from another node", async () => {
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

test("what is expensive is worked on by a few at a time; more than may wait is refused as an outage", async () => {
	const { promise: opened, resolve: open } = Promise.withResolvers<void>();
	let atOnce = 0;
	let most = 0;
	const { caller } = await startThings(async () => {
		most = Math.max(most, ++atOnce);
		await opened;
		atOnce--;
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
	/** The handler holds its first call until `release`, and records which call the log context belongs to, and which call it executes. */
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

	test("is not executed when its caller has given up", async () => {
		const { call, executed, release } = await startHeld();
		const first = call(1, 5000);
		await eventually(() => expect(executed).toHaveLength(1));
		await expect(call(2, 50)).rejects.toMatchObject({ type: "REQUEST_TIMEOUT" });
		release();
		await first;
		await call(3, 5000);
		expect(executed.map(({ n }) => n)).toEqual([1, 3]);
	});
});
