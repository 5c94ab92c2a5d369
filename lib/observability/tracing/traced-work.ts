import {
	currentTraceparents,
	isSampled,
	runInTracesOf,
	type Traced,
} from "../../context/traceparent.ts";
import type { Attributes, Span, SpanKind, Tracer } from "./tracing.ts";

/** How a span looks. Asked for only where there is one. */
export interface SpanDescription<E = unknown> {
	readonly kind: SpanKind;
	name(element: E): string;
	attributes(element: E): Attributes;
}

/** Whether some of this is recorded. */
export const anySampled = (elements: readonly Traced[]): boolean =>
	elements.some(({ traceparent }) => typeof traceparent === "string" && isSampled(traceparent));

/**
 * Does something for several elements at once, with a span in the trace of each one that is recorded: so each trace is whole, however many travelled
 * together. What is done hands on the elements that it is given, which carry their spans.
 * @param work gets the spans as well, in the order of the elements
 */
export async function traceBatch<E extends Traced, R>(
	tracer: Tracer,
	elements: readonly E[],
	look: SpanDescription<E>,
	work: (elements: E[], spans: readonly (Span | undefined)[]) => Promise<R>,
): Promise<R> {
	const spans = elements.map((element) =>
		element.traceparent && isSampled(element.traceparent)
			? tracer.start(look.name(element), look.kind, element.traceparent, look.attributes(element))
			: undefined,
	);
	const inside = elements.map((element, i) =>
		spans[i] ? { ...element, traceparent: spans[i].traceparent } : element,
	);
	return runInTracesOf(inside, () => ended(spans, work(inside, spans)));
}

/** Does something that has nothing below it, with a span in each of the traces that it is done for. */
export function traceWork<R>(
	tracer: Tracer,
	look: SpanDescription,
	work: () => Promise<R>,
): Promise<R> {
	const traces = currentTraceparents();
	if (traces.length === 0 || !traces.some(isSampled)) return work();
	const attributes = look.attributes(undefined);
	const spans = traces.map((traceparent) =>
		isSampled(traceparent)
			? tracer.start(look.name(undefined), look.kind, traceparent, attributes)
			: undefined,
	);
	return ended(spans, work());
}

async function ended<R>(spans: readonly (Span | undefined)[], work: Promise<R>): Promise<R> {
	try {
		return await work;
	} catch (error) {
		for (const span of spans) span?.fail(error);
		throw error;
	} finally {
		for (const span of spans) span?.end();
	}
}
