import { runInTracesOf } from "../../lib/context/traceparent.ts";
import type { Event } from "../../lib/contracts/event.ts";
import { anySampled, traceBatch } from "../../lib/observability/tracing/traced-work.ts";
import type { SpanKind, Tracer } from "../../lib/observability/tracing/tracing.ts";

/**
 * Adds spans to events: one for publishing and one for handling, each in the trace of the event,
 * whose traceparent continues from the last span.
 * @param carrier messaging system of the spans
 */
export function eventTraces(tracer: Tracer | undefined, carrier: "nats" | "process") {
	const describeAs = (kind: SpanKind, name: string) => ({
		kind,
		name: ({ type }: Event) => `${name} ${type}`,
		attributes: ({ id, type, subject, time }: Event) => ({
			"messaging.system": carrier,
			"messaging.operation.type": name,
			"messaging.destination.name": type,
			"messaging.message.id": id,
			"event.subject": subject,
			"event.age_ms": Math.max(0, Date.now() - Date.parse(time)),
		}),
	});
	const [sent, processed] = [describeAs("producer", "send"), describeAs("consumer", "process")];
	return {
		/** @param deliver publishes the events */
		sending<R>(deliver: (events: Event[]) => Promise<R>): (events: Event[]) => Promise<R> {
			if (!tracer) return deliver;
			return (events) =>
				anySampled(events) ? traceBatch(tracer, events, sent, deliver) : deliver(events);
		},
		/** Runs a handler in the traces of its events. */
		handling(events: Event[], handler: (events: Event[]) => Promise<void>): Promise<void> {
			return tracer && anySampled(events)
				? traceBatch(tracer, events, processed, handler)
				: runInTracesOf(events, () => handler(events));
		},
	};
}
export type EventTraces = ReturnType<typeof eventTraces>;
