import { AsyncLocalStorage } from "node:async_hooks";

/**
 * https://www.w3.org/TR/trace-context/#traceparent-header, version 00: which trace something belongs to, and what in it comes before. It is all that
 * travels of a trace: in `ctx.headers` with calls, in the outbox and the envelope with events, and per element with batches.
 */
const TRACEPARENT = /^00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}$/;
export const isTraceparent = (value: unknown): value is string =>
	typeof value === "string" && TRACEPARENT.test(value);

/** The trace's id, the same for all that belongs to it. */
export const traceIdOf = (traceparent: string | null | undefined): string | undefined =>
	traceparent?.split("-", 2)[1];

/** What may have a trace of its own among others. */
export interface Traced {
	readonly traceparent?: string | null | undefined;
}
/** The same as a field of a contract. */
export const traced = { traceparent: { type: "string", length: 55, optional: true } } as const;

/** Whether the trace is recorded, by whoever can (https://www.w3.org/TR/trace-context/#sampled-flag). */
export const isSampled = (traceparent: string): boolean =>
	(Number.parseInt(traceparent.slice(-1), 16) & 1) === 1;

/** One trace, or those of all that is worked on together. */
const storage = new AsyncLocalStorage<string | readonly string[] | undefined>();

/** The trace that is worked on here and now; undefined where there is none, or where it is the work of many. */
export function currentTraceparent(): string | undefined {
	const current = storage.getStore();
	return typeof current === "string" ? current : undefined;
}
const NONE: readonly string[] = [];
/** All the traces that what is done here and now is done for. */
export function currentTraceparents(): readonly string[] {
	const current = storage.getStore();
	return typeof current === "string" ? [current] : (current ?? NONE);
}
/** Does something as a part of a trace. */
export const runInTrace = <T>(traceparent: string | undefined, work: () => T): T =>
	storage.run(traceparent, work);
/** Does something for all these elements at once. What it tells of one of them belongs to that one's trace, which it has to say unless all have the same. */
export function runInTracesOf<T>(elements: readonly Traced[], work: () => T): T {
	const first = elements[0]?.traceparent ?? undefined;
	if (elements.every(({ traceparent }) => (traceparent ?? undefined) === first))
		return storage.run(first, work);
	return storage.run([...new Set(elements.flatMap(({ traceparent }) => traceparent ?? []))], work);
}
/** Begins what outlives whoever happened to begin it, a loop for instance. */
export const runOutsideTraces = <T>(work: () => T): T => storage.exit(work);

/**
 * The traces of elements, as a parameter for a set-based statement: each its own or else the one that is worked on. Where there are none it is null, which
 * `unnest` takes for nulls all along.
 */
export function traceparentsOf(elements: readonly Traced[]): (string | null)[] | null {
	const here = currentTraceparent();
	if (!here && !elements.some(({ traceparent }) => traceparent)) return null;
	return elements.map(({ traceparent }) => traceparent ?? here ?? null);
}
