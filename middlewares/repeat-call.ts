import type { Context, ServiceBroker } from "moleculer";

interface Repetition {
	readonly params?: object;
	readonly nodeID?: string | undefined;
	/** Milliseconds. */
	readonly timeout?: number;
}

/**
 * Calls the action of a context again, with a context of its own: the broker selects a node, and
 * the call passes all middlewares. Private API of Moleculer, used only here: `Context.copy` and the
 * call option `ctx`.
 * @param onCopy receives the new context before the call
 */
export function repeatCall<P>(
	broker: ServiceBroker,
	ctx: Context<P>,
	action: string,
	{ params = ctx.params as object, nodeID, timeout }: Repetition,
	onCopy?: (copy: Context<P>) => void,
): Promise<unknown> {
	const copy = (ctx as unknown as { copy(): Context<P> }).copy();
	copy.params = params as P;
	if (timeout !== undefined) copy.options = { ...ctx.options, timeout };
	onCopy?.(copy);
	return broker.call(action, params, { ctx: copy, ...(nodeID ? { nodeID } : {}) } as object);
}
