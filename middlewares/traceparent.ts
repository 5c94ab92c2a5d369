import type { Context, Middleware } from "moleculer";
import { currentTraceparent, runInTrace } from "../lib/context/traceparent.ts";

type Handler = (ctx: Context) => Promise<unknown>;
type Send = (
	name: string,
	payload: unknown,
	options?: string | string[] | { headers?: object },
) => Promise<unknown>;

/** A call belongs to the trace that it says, else to its caller's, else to the one that is worked on where it is made. */
function traceparentOf({ headers, options: { parentCtx } }: Context): string | undefined {
	return headers.traceparent ?? parentCtx?.headers.traceparent ?? currentTraceparent();
}
/** A copy: a caller may pass the same headers to many calls. */
function carry(ctx: Context, traceparent: string): void {
	if (ctx.headers.traceparent !== traceparent) ctx.headers = { ...ctx.headers, traceparent };
}

/** Events that may be lost carry the trace, too; those that matter do in the outbox. */
const sending = (next: Send): Send => {
	return (name, payload, options) => {
		const traceparent = currentTraceparent();
		if (!traceparent) return next(name, payload, options);
		const given: { headers?: object } | undefined =
			Array.isArray(options) || typeof options === "string"
				? ({ groups: options } as object)
				: options;
		return next(name, payload, { ...given, headers: { ...given?.headers, traceparent } });
	};
};

/** Takes the trace of a call to whatever the called action does: its calls, here and on other nodes, and what it publishes. */
export const traceparent = {
	name: "Traceparent",
	localAction(next: Handler): Handler {
		return (ctx) => {
			const traceparent = traceparentOf(ctx);
			if (!traceparent) return next(ctx);
			carry(ctx, traceparent);
			return runInTrace(traceparent, () => next(ctx));
		};
	},
	remoteAction(next: Handler): Handler {
		return (ctx) => {
			const traceparent = traceparentOf(ctx);
			if (traceparent) carry(ctx, traceparent);
			return next(ctx);
		};
	},
	emit: sending,
	broadcast: sending,
} as unknown as Middleware;
