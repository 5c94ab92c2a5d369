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

/** Milliseconds before the first and the second repetition, each plus up to as much again, so that many callers do not come back at once. */
const BACKOFF = [50, 200];

/**
 * Sends a call to another node again, at most twice, each time to whichever node is next: a read whose answer was lost, and whatever a node dropped
 * unseen because it was about to end. All tries of a read share its time, each getting half of what is left and the last one the rest. A read made by an
 * action that is itself sent again is not: tries would multiply.
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
				return insist(ctx, next, { name: action.name, isRead, deadline: Date.now() + timeout });
			};
		},
	} as unknown as Middleware;

	async function insist(
		ctx: Context,
		next: Handler,
		{ name, isRead, deadline }: { name: string; isRead: boolean; deadline: number },
	) {
		const { options } = ctx;
		for (let tries = 0; ; tries++) {
			const left = deadline - Date.now();
			const timeout = isRead && tries < BACKOFF.length ? left / 2 : left;
			try {
				return await (tries === 0 ? first(timeout) : again(timeout));
			} catch (error) {
				const worthIt = wasNotDelivered(error, name) || (isRead && isWorthRetrying(error));
				const wait = (BACKOFF[tries] ?? 0) * (1 + Math.random());
				if (tries >= BACKOFF.length || !worthIt || Date.now() + wait >= deadline) throw error;
				broker.logger.warn("A call is sent again", {
					action: name,
					node: ctx.nodeID,
					request_id: ctx.requestID,
					error,
				});
				addSpanEvent(ctx, "retry", {
					try: tries + 2,
					"error.type": errorKind(error),
					"moleculer.node": ctx.nodeID ?? undefined,
				});
				await pause(wait);
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
