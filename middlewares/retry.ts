import { setTimeout as pause } from "node:timers/promises";
import type { Context, Middleware, ServiceBroker } from "moleculer";
import { isWorthRetrying } from "../lib/outage.ts";

type Handler = (ctx: Context) => Promise<unknown>;
interface Action {
	readonly name: string;
	readonly retry?: true;
}

/** Milliseconds before the first and the second repetition, each plus up to as much again, so that many callers do not come back at once. */
const BACKOFF = [50, 200];

/**
 * Sends a read again, at most twice, when its answer was lost on the way from another node, each time to whichever node is next. All tries share the
 * time of the call, each getting half of what is left and the last one the rest. A call made by an action that is itself sent again is not: tries would multiply.
 */
export function retry(broker: ServiceBroker): Middleware {
	const repetitions = new WeakSet<Context>();
	return {
		name: "Retry",
		remoteAction(next: Handler, action: Action): Handler {
			if (!action.retry) return next;
			return (ctx) => {
				const { timeout, nodeID, parentCtx } = ctx.options;
				const parent = parentCtx?.action as Action | undefined | null;
				return !timeout || nodeID || parent?.retry || repetitions.has(ctx) ? next(ctx) : insist(ctx, next, action, Date.now() + timeout);
			};
		},
	} as unknown as Middleware;

	async function insist(ctx: Context, next: Handler, { name }: Action, deadline: number): Promise<unknown> {
		const { options } = ctx;
		for (let tries = 0; ; tries++) {
			const left = deadline - Date.now();
			const timeout = tries < BACKOFF.length ? left / 2 : left;
			try {
				return await (tries === 0 ? next(withTime(ctx, timeout)) : again(ctx, timeout));
			} catch (error) {
				const wait = (BACKOFF[tries] ?? 0) * (1 + Math.random());
				if (tries >= BACKOFF.length || !isWorthRetrying(error) || Date.now() + wait >= deadline) throw error;
				broker.logger.warn("A read is sent again", { action: name, node: ctx.nodeID, request_id: ctx.requestID, error });
				await pause(wait);
			}
		}
		function withTime(one: Context, timeout: number): Context {
			one.options = { ...options, timeout };
			return one;
		}
		function again(ctx: Context, timeout: number): Promise<unknown> {
			const copy = withTime((ctx as Context & { copy(): Context }).copy(), timeout);
			repetitions.add(copy);
			// A call with a context of its own goes through the choice of a node and through all middlewares anew.
			return broker.call(name, ctx.params, { ctx: copy } as object);
		}
	}
}
