import { runInTrace } from "../../../lib/context/traceparent.ts";
import { recordSpanEventsOn } from "../../../lib/observability/tracing/notes.ts";
import type { Tracer } from "../../../lib/observability/tracing/tracing.ts";
import type { SagaOutcome } from "../../../lib/saga/saga.ts";
import type { OrderSaga } from "./steps.ts";

/** Shows an order's saga, from where this node begins with it to its end, above all that its steps do. */
export const sagaTraces =
	(tracer: Tracer) =>
	async (saga: OrderSaga, run: () => Promise<SagaOutcome>): Promise<SagaOutcome> => {
		const { id, attempt, direction, traceparent } = saga;
		const span = traceparent
			? tracer.start("saga", "internal", traceparent, { "order.id": id, "saga.attempt": attempt })
			: undefined;
		if (!span) return run();
		span.set({ "saga.direction": direction });
		recordSpanEventsOn(saga, [span]);
		// What the steps do comes below; the row keeps what comes before, for whoever takes the saga over.
		Object.assign(saga, { traceparent: span.traceparent });
		try {
			const end = await runInTrace(span.traceparent, () => run());
			// Not why: somebody may have written that.
			span.set({ "saga.end": end.status });
			return end;
		} finally {
			span.end();
		}
	};
