import type { Context, Middleware } from "moleculer";
import { currentTraceparent, runInTrace } from "../lib/context/traceparent.ts";

type Handler = (ctx: Context) => Promise<unknown>;
type Send = (
	name: string,
	payload: unknown,
	options?: string | string[] | { headers?: object },
) => Promise<unknown>;

/** The trace of a call: its own header, else its caller's, else the current one. */
function traceparentOf({ headers, options: { parentCtx } }: Context): string | undefined {
	return headers.traceparent ?? parentCtx?.headers.traceparent ?? currentTraceparent();
}
/** Sets the header on a copy: a caller may pass the same headers to many calls. */
function setTraceparent(ctx: Context, traceparent: string): void {
	if (ctx.headers.traceparent !== traceparent) ctx.headers = { ...ctx.headers, traceparent };
}

/** Adds the trace to non-durable events; durable ones have it in the outbox. */
const withTraceparent = (next: Send): Send => {
	return (name, payload, options) => {
		const traceparent = currentTraceparent();
		if (!traceparent) return next(name, payload, options);
		const original: { headers?: object } | undefined =
			Array.isArray(options) || typeof options === "string"
				? ({ groups: options } as object)
				: options;
		return next(name, payload, { ...original, headers: { ...original?.headers, traceparent } });
	};
};

/** Propagates the trace of a call to the calls and events of its action, across nodes. */
export const traceparent = {
	name: "Traceparent",
	localAction(next: Handler): Handler {
		return (ctx) => {
			const traceparent = traceparentOf(ctx);
			if (!traceparent) return next(ctx);
			setTraceparent(ctx, traceparent);
			return runInTrace(traceparent, () => next(ctx));
		};
	},
	remoteAction(next: Handler): Handler {
		return (ctx) => {
			const traceparent = traceparentOf(ctx);
			if (traceparent) setTraceparent(ctx, traceparent);
			return next(ctx);
		};
	},
	emit: withTraceparent,
	broadcast: withTraceparent,
} as unknown as Middleware;
