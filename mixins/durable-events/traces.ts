import { runInTracesOf } from "../../lib/context/traceparent.ts";
import type { Event } from "../../lib/contracts/event.ts";
import { anySampled, traceBatch } from "../../lib/observability/tracing/traced-work.ts";
import type { SpanKind, Tracer } from "../../lib/observability/tracing/tracing.ts";

/**
 * Shows events on their way, each in the trace that it was written in: handed over by the service that tells them, and handled by those who hear them. Each
 * carries the last span on to the next.
 * @param carrier what events travel with
 */
export function eventTraces(tracer: Tracer | undefined, carrier: "nats" | "process") {
	const look = (kind: SpanKind, name: string) => ({
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
	const [sent, processed] = [look("producer", "send"), look("consumer", "process")];
	return {
		/** @param deliver hands events over to whatever carries them */
		sending<R>(deliver: (events: Event[]) => Promise<R>): (events: Event[]) => Promise<R> {
			if (!tracer) return deliver;
			return (found) =>
				anySampled(found) ? traceBatch(tracer, found, sent, deliver) : deliver(found);
		},
		/** Runs a handler in the traces of its events. */
		handling(found: Event[], handler: (events: Event[]) => Promise<void>): Promise<void> {
			return tracer && anySampled(found)
				? traceBatch(tracer, found, processed, handler)
				: runInTracesOf(found, () => handler(found));
		},
	};
}
export type EventTraces = ReturnType<typeof eventTraces>;
