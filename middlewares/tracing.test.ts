import { beforeEach, expect, test } from "@jest/globals";
import type { Context, ServiceBroker, ServiceSchema } from "moleculer";
import { v7 as uuid } from "uuid";
import {
	currentTraceparent,
	currentTraceparents,
	runInTracesOf,
} from "../lib/context/traceparent.ts";
import { contract, contractError } from "../lib/contracts/contract.ts";
import { command, done, refused } from "../lib/contracts/outcome.ts";
import { defineService } from "../lib/service/define-service.ts";
import { eventually } from "../test/support/eventually.ts";
import { recordedTraces } from "../test/support/recorded-traces.ts";
import { fakeNodes } from "./test/fake-nodes.ts";

const trace = (id: string, flags = "01") => `00-${id.repeat(32)}-00f067aa0ba902b7-${flags}`;
const [one, other, unsampled] = [trace("1"), trace("2"), trace("3", "00")];

const action = { params: {}, returns: { type: "any" } } as const;
const things = contract({
	name: "things",
	actions: {
		look: { ...action, retry: true },
		fail: action,
		refuse: action,
		handle: command("Handle orders", {}),
	},
	errors: { NO: { status: 409, message: "No" } },
});
/** The input and the traces of the last `handle` call. */
let handled:
	| { orders: unknown; traces: readonly string[]; current: string | undefined }
	| undefined;
/** Results of the next `look` calls. */
let looks: (() => unknown)[];
const handlers = defineService(things)({
	actions: {
		look: async (ctx) => (looks.shift() ?? (() => (ctx as unknown as Context).headers))(),
		async fail() {
			throw new Error("Somebody's name");
		},
		async refuse() {
			throw contractError(things, "NO");
		},
		async handle({ params: { orders } }) {
			handled = { orders, traces: currentTraceparents(), current: currentTraceparent() };
			return orders.map((_, i) => (i === 0 ? done : refused("NOT_THIS")));
		},
	},
});

let traces: ReturnType<typeof recordedTraces>;
const nodes = fakeNodes();
beforeEach(() => {
	traces = recordedTraces();
	looks = [];
});
const startNode = (name: string, ...schemas: ServiceSchema[]) =>
	nodes.start(schemas, { traces: { ...traces, instance: name }, halfOpenTime: 100 });
async function startTwo(): Promise<ServiceBroker> {
	const [caller] = await Promise.all([startNode("caller"), startNode("callee", handlers)]);
	await eventually(() => expect(caller!.registry.actions.get("things.look")?.count()).toBe(1));
	return caller!;
}
const spanNames = () => traces.spans.map(({ service, kind, name }) => `${service} ${kind} ${name}`);

test("a call has a client and a server span, and a single span within a process", async () => {
	const caller = await startTwo();
	const headers = await caller.call(
		"things.look",
		{},
		{ headers: { traceparent: one }, caller: "orders" },
	);
	expect(spanNames()).toEqual(["orders client things.look", "things server things.look"]);
	const [client, server] = traces.spans;
	expect([client!.parent, server!.parent, headers]).toEqual([
		one,
		client!.traceparent,
		{ traceparent: server!.traceparent },
	]);
	expect(client!.attributes).toMatchObject({
		"rpc.service": "things",
		"rpc.method": "look",
		"moleculer.node": "callee",
		"circuit_breaker.state": "closed",
	});
	expect(traces.spans.every(({ ended }) => ended)).toBe(true);
	traces.spans.length = 0;
	await nodes.brokers[1]!.call("things.look", {}, { headers: { traceparent: one } });
	expect(spanNames()).toEqual(["things internal things.look"]);
});

test("an unsampled call has no span and keeps its traceparent", async () => {
	const caller = await startTwo();
	expect(await caller.call("things.look", {}, { headers: { traceparent: unsampled } })).toEqual({
		traceparent: unsampled,
	});
	expect(await caller.call("things.look")).toEqual({});
	await caller.call("things.handle", { orders: [{ order_id: uuid(), traceparent: unsampled }] });
	expect(traces.spans).toEqual([]);
});

test("a failed span has the error's type, never its message", async () => {
	const caller = await startTwo();
	for (const name of ["things.fail", "things.refuse"])
		await expect(caller.call(name, {}, { headers: { traceparent: one } })).rejects.toThrow();
	expect(traces.spans.map(({ failure }) => failure)).toEqual(["Error", "Error", "NO", "NO"]);
	expect(JSON.stringify(traces.spans)).not.toContain("Somebody");
});

test("a call about many orders has a span in each recorded trace, with the outcome", async () => {
	const caller = await startTwo();
	const orders = [one, other, unsampled, undefined].map((traceparent) => ({
		order_id: uuid(),
		...(traceparent ? { traceparent } : {}),
	}));
	await caller.call("things.handle", { orders });
	expect(spanNames()).toEqual([
		...Array(2).fill("moleculer-commerce client things.handle"),
		...Array(2).fill("things server things.handle"),
	]);
	const [client, otherClient, server, otherServer] = traces.spans;
	expect([client, otherClient, server, otherServer].map((span) => span!.parent)).toEqual([
		one,
		other,
		client!.traceparent,
		otherClient!.traceparent,
	]);
	expect(
		[server, otherServer].map((span) => [
			span!.attributes["order.id"],
			span!.attributes["batch.size"],
			span!.attributes["order.outcome"],
		]),
	).toEqual([
		[orders[0]!.order_id, 4, "done"],
		[orders[1]!.order_id, 4, "refused"],
	]);
	expect(otherServer!.attributes["order.refusal"]).toBe("NOT_THIS");
	const inside = [server!.traceparent, otherServer!.traceparent];
	expect(handled).toMatchObject({ current: undefined, traces: [...inside, unsampled] });
	expect(handled!.orders).toMatchObject([
		{ traceparent: inside[0] },
		{ traceparent: inside[1] },
		{ traceparent: unsampled },
		{},
	]);
	// The caller's list is unchanged.
	expect(orders.map(({ traceparent }) => traceparent)).toEqual([one, other, unsampled, undefined]);
	await caller.call("things.handle", { orders: [orders[0]] });
	expect(handled!.current).toBe(traces.spans.at(-1)!.traceparent);
});

test("a batched call has a span in each of its traces", async () => {
	const caller = await startTwo();
	await runInTracesOf([{ traceparent: one }, { traceparent: other }, {}], () =>
		caller.call("things.look"),
	);
	const clients = traces.spans.filter(({ kind }) => kind === "client");
	expect(clients.map(({ parent, ended }) => ({ parent, ended }))).toEqual([
		{ parent: one, ended: true },
		{ parent: other, ended: true },
	]);
});

test("retries and state changes of the circuit breaker are events of the call's span", async () => {
	const caller = await startTwo();
	const never = () => new Promise(() => undefined);
	looks = [never];
	await caller.call("things.look", {}, { headers: { traceparent: one }, timeout: 8000 });
	const [client, ...rest] = traces.spans;
	expect(client!.notes).toEqual([
		["retry", { try: 2, "error.type": "REQUEST_TIMEOUT", "moleculer.node": "callee" }],
	]);
	expect(rest.filter(({ kind }) => kind === "client").map(({ parent }) => parent)).toEqual([
		client!.traceparent,
	]);
	traces.spans.length = 0;
	looks = Array.from({ length: 20 }, () => never);
	for (let i = 0; i < 5; i++)
		await caller
			.call("things.look", {}, { headers: { traceparent: one }, timeout: 20 })
			.catch(() => undefined);
	expect(traces.spans.flatMap(({ notes }) => notes)).toContainEqual([
		"circuit breaker open",
		{ "circuit_breaker.state": "open" },
	]);
});

test("a non-durable event has the trace of its sender", async () => {
	const receivedHeaders: unknown[] = [];
	const listener = {
		name: "listener",
		events: { "something.happened": (ctx: Context) => void receivedHeaders.push(ctx.headers) },
	} as unknown as ServiceSchema;
	const broker = await startNode("one", listener);
	await runInTracesOf([{ traceparent: one }], () => broker.broadcast("something.happened"));
	await broker.emit("something.happened");
	await eventually(() => expect(receivedHeaders).toHaveLength(2));
	expect(receivedHeaders).toEqual([{ traceparent: one }, {}]);
	expect(spanNames()).toEqual(["listener consumer something.happened"]);
});
