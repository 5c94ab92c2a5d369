import { AsyncLocalStorage } from "node:async_hooks";
import { currentTraceparent, runOutsideTraces, traceIdOf } from "./traceparent.ts";

/** The part of a call's context that log lines and deadlines need. */
interface Call {
	readonly requestID: string | null;
	/** Time at which the caller times out, by `performance.now()`. */
	readonly deadline?: number;
	readonly meta: { readonly user?: { readonly id: string } | null };
}
/** Fields that every log line of a call contains, as far as they are known. */
interface LogFields {
	readonly request_id?: string;
	readonly user_id?: string;
	readonly trace_id?: string;
}

/** The current call, in its handler and in everything that the handler awaits. */
const calls = new AsyncLocalStorage<Call | undefined>();
/** Runs a function with `call` as the current call. */
export const runInCall = <C, R>(call: C, work: (call: C) => R): R =>
	calls.run(call as Call, work, call);
/**
 * Runs a function without a current call, for work of its trace that outlives the call. Otherwise
 * the timers and promises that the function starts would keep the call and its request in memory,
 * and the time limit of the call would apply.
 */
export const runAfterCall = <R>(work: () => R): R => calls.exit(work);
/** Runs a function without a current call or trace, for work that outlives both. */
export const runOutsideCalls = <R>(work: () => R): R => calls.exit(() => runOutsideTraces(work));

/** Milliseconds until the current call times out; Infinity without a call or a deadline. */
export const timeLeft = (): number =>
	(calls.getStore()?.deadline ?? Number.POSITIVE_INFINITY) - performance.now();

/** Log fields of the current call. */
export function currentLogFields(): LogFields {
	const call = calls.getStore();
	const trace_id = traceIdOf(currentTraceparent());
	return {
		...(call?.requestID ? { request_id: call.requestID } : {}),
		...(call?.meta.user ? { user_id: call.meta.user.id } : {}),
		...(trace_id ? { trace_id } : {}),
	};
}
