import type { Context, Middleware, ServiceBroker } from "moleculer";

type Handler = (ctx: Context & { deadline?: number }) => Promise<unknown>;

/**
 * How long a call may take: what is left of its caller's time, and never more than the `timeout` of the contract. moleculer itself forgets the
 * latter in calls within calls, and writes the time into the caller's options, which several calls may share.
 */
function wrap(this: ServiceBroker, next: Handler, { timeout }: { timeout?: number }): Handler {
	const { requestTimeout = 0 } = this.options;
	return (ctx) => {
		const given = ctx.options.timeout ?? timeout ?? requestTimeout;
		const limit = Math.min(given, timeout ?? given);
		ctx.options = { ...ctx.options, timeout: limit };
		// For waits inside the handler, which must not outlive the call (`timeLeft` in lib/context/call-context.ts).
		if (limit > 0) ctx.deadline = performance.now() + limit;
		return next(ctx);
	};
}
export const deadline = {
	name: "Deadline",
	localAction: wrap,
	remoteAction: wrap,
} as unknown as Middleware;
