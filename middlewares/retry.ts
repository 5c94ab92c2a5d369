import { setTimeout as pause } from "node:timers/promises";
import type { Context, Middleware, ServiceBroker } from "moleculer";
import { errorKind } from "../lib/observability/tracing/error-kind.ts";
import { addSpanEvent } from "../lib/observability/tracing/span-events.ts";
import { isWorthRetrying, wasNotDelivered } from "../lib/resilience/outages.ts";
import { repeatCall } from "./repeat-call.ts";

type Handler = (ctx: Context) => Promise<unknown>;
interface Action {
	readonly name: string;
	readonly retry?: true;
}

/** Milliseconds before the first and second repetition, plus up to the same again as jitter. */
const BACKOFF = [50, 200];

/**
 * Repeats a call at most twice, on the next node: reads whose result was lost, and any call that a
 * stopping node rejected before executing it. The attempts of a read share its time limit: each
 * gets half of the remaining time, the last one the rest. A read within an action that is itself
 * retried is not repeated, so that attempts do not multiply.
 */
export function retry(broker: ServiceBroker): Middleware {
	const repetitions = new WeakSet<Context>();
	return {
		name: "Retry",
		remoteAction: (next: Handler, action: Action): Handler => {
			return (ctx) => {
				const { timeout, nodeID, parentCtx } = ctx.options;
				if (!timeout || nodeID || repetitions.has(ctx)) return next(ctx);
				const isRead =
					action.retry === true && (parentCtx?.action as Action | undefined | null)?.retry !== true;
				return attempt(ctx, next, { name: action.name, isRead, limit: timeout });
			};
		},
	} as unknown as Middleware;

	async function attempt(
		ctx: Context,
		next: Handler,
		{ name, isRead, limit }: { name: string; isRead: boolean; limit: number },
	) {
		const { options } = ctx;
		const deadline = Date.now() + limit;
		let left = limit;
		for (let repetition = 0; ; repetition++) {
			const timeout = isRead && repetition < BACKOFF.length ? left / 2 : left;
			try {
				return await (repetition === 0 ? first(timeout) : again(timeout));
			} catch (error) {
				const isRetryable = wasNotDelivered(error, name) || (isRead && isWorthRetrying(error));
				const wait = (BACKOFF[repetition] ?? 0) * (1 + Math.random());
				if (repetition >= BACKOFF.length || !isRetryable || Date.now() + wait >= deadline)
					throw error;
				broker.logger.warn("Retrying a call", {
					action: name,
					node: ctx.nodeID,
					request_id: ctx.requestID,
					error,
				});
				addSpanEvent(ctx, "retry", {
					try: repetition + 2,
					"error.type": errorKind(error),
					"moleculer.node": ctx.nodeID ?? undefined,
				});
				await pause(wait);
				// On a busy machine, the pause may end after the deadline. Moleculer ignores a timeout
				// that is not positive, so the repetition would have no limit.
				left = deadline - Date.now();
				if (left <= 0) throw error;
			}
		}
		function first(timeout: number): Promise<unknown> {
			ctx.options = { ...options, timeout };
			return next(ctx);
		}
		function again(timeout: number): Promise<unknown> {
			return repeatCall(broker, ctx, name, { timeout }, (copy) => repetitions.add(copy));
		}
	}
}
