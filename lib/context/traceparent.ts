import { AsyncLocalStorage } from "node:async_hooks";

/**
 * Version 00 of https://www.w3.org/TR/trace-context/#traceparent-header: trace ID and parent span.
 * Only this header propagates a trace: in `ctx.headers` with calls, in the outbox and the envelope
 * with events, and per element with batches.
 */
const TRACEPARENT = /^00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}$/;
/** Whether a value is a traceparent of version 00, with IDs that are not zero. */
export const isTraceparent = (value: unknown): value is string =>
	typeof value === "string" && TRACEPARENT.test(value);

/** Trace ID of a traceparent. */
export const traceIdOf = (traceparent: string | null | undefined): string | undefined =>
	traceparent?.split("-", 2)[1];

/** Element of a batch that may belong to a trace of its own. */
export interface Traced {
	readonly traceparent?: string | null | undefined;
}
/** {@link Traced} as a field of a contract. */
export const traced = { traceparent: { type: "string", length: 55, optional: true } } as const;

/** Whether the trace is recorded (https://www.w3.org/TR/trace-context/#sampled-flag). */
export const isSampled = (traceparent: string): boolean =>
	(Number.parseInt(traceparent.slice(-1), 16) & 1) === 1;

/** Current trace, or the traces of all elements of the current batch. */
const storage = new AsyncLocalStorage<string | readonly string[] | undefined>();

/** Current trace; undefined outside traces and in a batch of several traces. */
export function currentTraceparent(): string | undefined {
	const current = storage.getStore();
	return typeof current === "string" ? current : undefined;
}
const NONE: readonly string[] = [];
/** All traces that the current work belongs to. */
export function currentTraceparents(): readonly string[] {
	const current = storage.getStore();
	return typeof current === "string" ? [current] : (current ?? NONE);
}
/** Runs a function as part of a trace. */
export const runInTrace = <T>(traceparent: string | undefined, work: () => T): T =>
	storage.run(traceparent, work);
/**
 * Runs a function as part of the traces of all elements. If the traces differ, there is no current
 * trace inside, and the function passes the trace of an element explicitly where it needs one.
 */
export function runInTracesOf<T>(elements: readonly Traced[], work: () => T): T {
	const first = elements[0]?.traceparent ?? undefined;
	if (elements.every(({ traceparent }) => (traceparent ?? undefined) === first))
		return storage.run(first, work);
	return storage.run([...new Set(elements.flatMap(({ traceparent }) => traceparent ?? []))], work);
}
/** Runs a function outside traces, for work that outlives the current trace, such as a poller. */
export const runOutsideTraces = <T>(work: () => T): T => storage.exit(work);

/**
 * Traces of elements as an array parameter of a set-based statement: the element's own trace or the
 * current one. Returns null if no element has a trace; `unnest` expands null to nulls.
 */
export function traceparentsOf(elements: readonly Traced[]): (string | null)[] | null {
	const current = currentTraceparent();
	if (!current && !elements.some(({ traceparent }) => traceparent)) return null;
	return elements.map(({ traceparent }) => traceparent ?? current ?? null);
}
