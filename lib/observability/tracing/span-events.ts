import type { Attributes, Span } from "./tracing.ts";

const spans = new WeakMap<object, readonly (Span | undefined)[]>();

/** Records later events of `subject`, the context of a call or a saga, target these spans. */
export const recordSpanEventsOn = (subject: object, target: readonly (Span | undefined)[]): void =>
	void spans.set(subject, target);

/** Adds an event to the spans of `subject`. Does nothing if its trace is not recorded. */
export function addSpanEvent(subject: object, event: string, attributes?: Attributes): void {
	for (const span of spans.get(subject) ?? []) span?.addEvent(event, attributes);
}
