import type { Context, Middleware, ServiceBroker } from "moleculer";

type Handler = (ctx: Context & { deadline?: number }) => Promise<unknown>;

/**
 * Limits a call to its caller's remaining time and the `timeout` of its contract. Moleculer ignores
 * the latter in nested calls, and writes the limit into the caller's options, which several calls
 * may share.
 */
function limitDuration(
	this: ServiceBroker,
	next: Handler,
	{ timeout }: { timeout?: number },
): Handler {
	const { requestTimeout = 0 } = this.options;
	return (ctx) => {
		const requested = ctx.options.timeout ?? timeout ?? requestTimeout;
		const limit = Math.min(requested, timeout ?? requested);
		ctx.options = { ...ctx.options, timeout: limit };
		// Limits waits inside the handler, see `timeLeft` in lib/context/call-context.ts.
		if (limit > 0) ctx.deadline = performance.now() + limit;
		return next(ctx);
	};
}
export const deadline = {
	name: "Deadline",
	localAction: limitDuration,
	remoteAction: limitDuration,
} as unknown as Middleware;
