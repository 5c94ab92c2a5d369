import type { Attributes, Span } from "./tracing.ts";

const spans = new WeakMap<object, readonly (Span | undefined)[]>();

/** From now on what is noted of `subject`, a call's context or a saga, is shown on these spans. */
export const recordSpanEventsOn = (subject: object, on: readonly (Span | undefined)[]): void =>
	void spans.set(subject, on);

/** Something happened to `subject` that whoever looks at its trace should see; nothing is done where there is none. */
export function addSpanEvent(subject: object, event: string, attributes?: Attributes): void {
	for (const span of spans.get(subject) ?? []) span?.addEvent(event, attributes);
}
