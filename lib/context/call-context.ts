import { AsyncLocalStorage } from "node:async_hooks";
import { currentTraceparent, runOutsideTraces, traceIdOf } from "./traceparent.ts";

/** The part of a call's context that log lines and time limits need. */
interface Call {
	readonly requestID: string | null;
	/** When the caller gives up, by `performance.now()`. */
	readonly deadline?: number;
	readonly meta: { readonly user?: { readonly id: string } | null };
}
/** Whom a line is about. Left out where it is not known. */
export interface LogFields {
	readonly request_id?: string;
	readonly user_id?: string;
	readonly trace_id?: string;
}

/** The call that is being worked on. It follows through whatever its handler waits for. */
const calls = new AsyncLocalStorage<Call | undefined>();
/** Does something on behalf of a call. */
export const runInCall = <C, R>(call: C, work: (call: C) => R): R =>
	calls.run(call as Call, work, call);
/** Begins what outlives whoever happened to begin it: a loop, or a batch of many. */
export const runOutsideCalls = <R>(work: () => R): R => calls.exit(() => runOutsideTraces(work));

/** Milliseconds until the caller of the current call gives up; Infinity outside calls and in calls without a time limit. */
export const timeLeft = (): number =>
	(calls.getStore()?.deadline ?? Number.POSITIVE_INFINITY) - performance.now();

/** Whom a line that is written now is about. */
export function currentLogFields(): LogFields {
	const call = calls.getStore();
	const trace_id = traceIdOf(currentTraceparent());
	return {
		...(call?.requestID ? { request_id: call.requestID } : {}),
		...(call?.meta.user ? { user_id: call.meta.user.id } : {}),
		...(trace_id ? { trace_id } : {}),
	};
}
