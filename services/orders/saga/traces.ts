import { runInTrace } from "../../../lib/context/traceparent.ts";
import { recordSpanEventsOn } from "../../../lib/observability/tracing/span-events.ts";
import type { Tracer } from "../../../lib/observability/tracing/tracing.ts";
import type { OrderSaga } from "./steps.ts";

/**
 * Traces each run of an order's saga as one span in the trace of the order. The steps receive a
 * copy of the saga whose parent is that span. The order's row keeps the original trace for the next
 * run.
 */
export const sagaTraces =
	(tracer: Tracer) =>
	async <Outcome extends { readonly status: string }>(
		saga: OrderSaga,
		run: (saga: OrderSaga) => Promise<Outcome>,
	): Promise<Outcome> => {
		const { id, attempt, direction, traceparent } = saga;
		const span = traceparent
			? tracer.start("saga", "internal", traceparent, { "order.id": id, "saga.attempt": attempt })
			: undefined;
		if (!span) return run(saga);
		span.set({ "saga.direction": direction });
		const traced = { ...saga, traceparent: span.traceparent };
		recordSpanEventsOn(traced, [span]);
		try {
			const outcome = await runInTrace(span.traceparent, () => run(traced));
			// Without the reason, which may be text from a customer.
			span.set({ "saga.end": outcome.status });
			return outcome;
		} finally {
			span.end();
		}
	};
