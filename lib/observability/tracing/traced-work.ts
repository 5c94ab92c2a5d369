import {
	currentTraceparents,
	isSampled,
	runInTracesOf,
	type Traced,
} from "../../context/traceparent.ts";
import type { Attributes, Span, SpanKind, Tracer } from "./tracing.ts";

/** Describes the span of an element. Evaluated only for recorded traces. */
export interface SpanDescription<E = unknown> {
	readonly kind: SpanKind;
	name(element: E): string;
	attributes(element: E): Attributes;
}

/** Whether at least one of these traces is recorded. */
export const anySampled = (elements: readonly Traced[]): boolean =>
	elements.some(({ traceparent }) => typeof traceparent === "string" && isSampled(traceparent));

/**
 * Runs batched work with one span in each recorded trace, so that every trace is complete although
 * its elements share the work.
 * @param work receives copies of the elements, which carry their spans, and the spans in the same
 * order
 */
export async function traceBatch<E extends Traced, R>(
	tracer: Tracer,
	elements: readonly E[],
	description: SpanDescription<E>,
	work: (elements: E[], spans: readonly (Span | undefined)[]) => Promise<R>,
): Promise<R> {
	const spans = elements.map((element) =>
		element.traceparent && isSampled(element.traceparent)
			? tracer.start(
					description.name(element),
					description.kind,
					element.traceparent,
					description.attributes(element),
				)
			: undefined,
	);
	const traced = elements.map((element, i) =>
		spans[i] ? { ...element, traceparent: spans[i].traceparent } : element,
	);
	return runInTracesOf(traced, () => endAfter(spans, work(traced, spans)));
}

/** Runs work without child spans, with one span in each current trace that is recorded. */
export function traceWork<R>(
	tracer: Tracer,
	description: SpanDescription,
	work: () => Promise<R>,
): Promise<R> {
	const traces = currentTraceparents();
	if (traces.length === 0 || !traces.some(isSampled)) return work();
	const attributes = description.attributes(undefined);
	const spans = traces.map((traceparent) =>
		isSampled(traceparent)
			? tracer.start(description.name(undefined), description.kind, traceparent, attributes)
			: undefined,
	);
	return endAfter(spans, work());
}

async function endAfter<R>(spans: readonly (Span | undefined)[], work: Promise<R>): Promise<R> {
	try {
		return await work;
	} catch (error) {
		for (const span of spans) span?.fail(error);
		throw error;
	} finally {
		for (const span of spans) span?.end();
	}
}
