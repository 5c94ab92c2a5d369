import type { Context, Middleware, ServiceBroker } from "moleculer";

type Handler = (ctx: Context) => Promise<unknown>;

/**
 * How long a call may take: what is left of its caller's time, and never more than the `timeout` of the contract. moleculer itself forgets the
 * latter in calls within calls, and writes the time into the caller's options, which several calls may share.
 */
function wrap(this: ServiceBroker, next: Handler, { timeout }: { timeout?: number }): Handler {
	const { requestTimeout = 0 } = this.options;
	return (ctx) => {
		const given = ctx.options.timeout ?? timeout ?? requestTimeout;
		ctx.options = { ...ctx.options, timeout: Math.min(given, timeout ?? given) };
		return next(ctx);
	};
}
export const deadline = { name: "Deadline", localAction: wrap, remoteAction: wrap } as unknown as Middleware;
