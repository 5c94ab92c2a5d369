import { expect, test } from "@jest/globals";
import { v7 as uuid } from "uuid";
import { currentTraceparent } from "../../../lib/context/traceparent.ts";
import { done, type Outcome, refused } from "../../../lib/contracts/outcome.ts";
import { createSagaRunner } from "../../../lib/saga/runner.ts";
import type { SagaStore } from "../../../lib/saga/saga.ts";
import { recordedTraces } from "../../../test/support/recorded-traces.ts";
import type { OrderSaga } from "./steps.ts";
import { sagaTraces } from "./traces.ts";

const one = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
const unsampled = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00";
const all = async (sagas: readonly unknown[]) => sagas.map(() => true);
const store = {
	complete: all,
	markCompensating: all,
	markCompensated: all,
	abort: all,
	markStuck: all,
} as unknown as SagaStore<OrderSaga>;

/**
 * Runs a saga of one step with the given results, one per call. `traceparents` are those of the
 * saga and of the context, per call.
 */
async function run(results: (() => Outcome)[], over: Partial<OrderSaga> = {}) {
	const traces = recordedTraces();
	const traceparents: (string | null | undefined)[][] = [];
	const step = async (sagas: OrderSaga[]) => {
		traceparents.push([sagas[0]!.traceparent, currentTraceparent()]);
		return [results.shift()!()];
	};
	const runner = createSagaRunner<OrderSaga>({
		steps: [{ name: "charge", execute: step, compensate: step }],
		store,
		heartbeatMs: 1000,
		pause: async () => undefined,
		onError: () => undefined,
		around: sagaTraces(traces.of("orders")),
	});
	const id = uuid();
	await runner.run({
		id,
		direction: "forward",
		attempt: 1,
		deadline: Date.now() + 60_000,
		traceparent: one,
		...over,
	} as OrderSaga);
	return { id, spans: traces.spans, traceparents };
}

test("a claimed saga continues in its order's trace, with its steps below it", async () => {
	const { id, spans, traceparents } = await run([() => done], { attempt: 2 });
	expect(spans).toMatchObject([
		{ service: "orders", kind: "internal", name: "saga", parent: one, notes: [], ended: true },
	]);
	const [span] = spans;
	expect(span!.attributes).toEqual({
		"order.id": id,
		"saga.attempt": 2,
		"saga.direction": "forward",
		"saga.end": "completed",
	});
	expect(traceparents).toEqual([[span!.traceparent, span!.traceparent]]);
});

test("the span records retries and the start of the compensation", async () => {
	const timeout = () => {
		throw Object.assign(new Error("secret words"), { type: "REQUEST_TIMEOUT" });
	};
	const { spans } = await run([
		timeout,
		() => refused("PAYMENT_DECLINED", "secret words"),
		timeout,
		() => done,
	]);
	expect(spans[0]!.notes).toEqual([
		["retry", { step: "charge", try: 2, "error.type": "REQUEST_TIMEOUT" }],
		["compensation", { step: "charge", reason: "PAYMENT_DECLINED" }],
		["retry", { step: "undo charge", try: 2, "error.type": "REQUEST_TIMEOUT" }],
	]);
	expect(spans[0]!.attributes["saga.end"]).toBe("closed");
	expect(JSON.stringify(spans)).not.toContain("words");
});

test("the span does not contain the reason of a cancellation", async () => {
	const { spans } = await run([() => done], { direction: "backward", reason: "MY_REASON" });
	expect(spans[0]!.attributes).toMatchObject({
		"saga.direction": "backward",
		"saga.end": "closed",
	});
	expect(JSON.stringify(spans)).not.toContain("MY_REASON");
});

test("a saga without a recorded trace runs unchanged", async () => {
	for (const traceparent of [unsampled, undefined, null]) {
		const { spans, traceparents } = await run([() => done], { traceparent });
		expect([spans, traceparents[0]![0]]).toEqual([[], traceparent]);
	}
});
