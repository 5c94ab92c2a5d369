import { expect, test } from "@jest/globals";
import { v7 as uuid } from "uuid";
import { currentTraceparent } from "../../../lib/context/traceparent.ts";
import { done, type Outcome, refused } from "../../../lib/contracts/outcome.ts";
import { createSagaRunner, type SagaStore } from "../../../lib/saga/saga.ts";
import { recordedTraces } from "../../../test/support/recorded-traces.ts";
import type { OrderSaga } from "./steps.ts";
import { sagaTraces } from "./traces.ts";

const one = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
const unsampled = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00";
const all = async (sagas: readonly unknown[]) => sagas.map(() => true);
const store = {
	complete: all,
	turn: all,
	close: all,
	abort: all,
	stall: all,
} as unknown as SagaStore<OrderSaga>;

/** Runs a saga of one step that answers one thing after the other; `carried` is what the saga and the work around it carry then. */
async function run(answers: (() => Outcome)[], over: Partial<OrderSaga> = {}) {
	const traces = recordedTraces();
	const carried: (string | null | undefined)[][] = [];
	const step = async (sagas: OrderSaga[]) => {
		carried.push([sagas[0]!.traceparent, currentTraceparent()]);
		return [answers.shift()!()];
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
	return { id, spans: traces.spans, carried };
}

test("a saga that a node takes over goes on in its order's trace, and its steps below it", async () => {
	const { id, spans, carried } = await run([() => done], { attempt: 2 });
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
	expect(carried).toEqual([[span!.traceparent, span!.traceparent]]);
});

test("a step that is tried again, and where the saga turns round, are noted", async () => {
	const trouble = () => {
		throw Object.assign(new Error("nobody's words"), { type: "REQUEST_TIMEOUT" });
	};
	const { spans } = await run([
		trouble,
		() => refused("PAYMENT_DECLINED", "whose words?"),
		trouble,
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

test("why a customer cancels is nobody else's business", async () => {
	const { spans } = await run([() => done], { direction: "backward", reason: "MY_REASON" });
	expect(spans[0]!.attributes).toMatchObject({
		"saga.direction": "backward",
		"saga.end": "closed",
	});
	expect(JSON.stringify(spans)).not.toContain("MY_REASON");
});

test("a saga whose trace is not recorded, or that has none, runs as it is", async () => {
	for (const traceparent of [unsampled, undefined, null]) {
		const { spans, carried } = await run([() => done], { traceparent });
		expect([spans, carried[0]![0]]).toEqual([[], traceparent]);
	}
});
