import { type Context, Errors, type Middleware, type ServiceBroker } from "moleculer";
import { boundedQueue } from "../lib/async/bounded-queue.ts";

type Handler = (ctx: Context) => Promise<unknown>;
interface Action {
	readonly name: string;
	readonly bulkhead?: { readonly concurrency: number; readonly maxQueueSize: number };
}

/**
 * Limits the concurrent and the waiting calls of an action on this node. Replaces Moleculer's
 * bulkhead, which executes a waiting call in the log context and trace of the call before it, and
 * also executes calls whose caller has timed out.
 */
export const bulkhead = {
	name: "Bulkhead",
	localAction(this: ServiceBroker, next: Handler, { name, bulkhead: limits }: Action): Handler {
		if (!limits) return next;
		const call = { action: name, nodeID: this.nodeID };
		const { run } = boundedQueue({
			concurrency: limits.concurrency,
			limit: limits.maxQueueSize,
			full: () => new Errors.QueueIsFullError(call),
			expired: () => new Errors.RequestTimeoutError(call),
		});
		return (ctx) => run(() => next(ctx));
	},
} as unknown as Middleware;
