import type { Context, Middleware, ServiceBroker } from "moleculer";
import moleculer, { Errors } from "moleculer";
import { removeStaleBreaker, resetFailures } from "../lib/resilience/circuit-breakers.ts";
import { isConclusive } from "../lib/resilience/outages.ts";

type Handler = (ctx: Context & { endpoint: { name: string } }) => Promise<unknown>;
type Wrap = (this: ServiceBroker, next: Handler, action: object) => Handler;
interface CircuitBreaker {
	created(broker: ServiceBroker): void;
	stopped(): void;
	remoteAction: Wrap;
}
const { CircuitBreaker } = (
	moleculer as unknown as { Middlewares: { CircuitBreaker(broker: ServiceBroker): CircuitBreaker } }
).Middlewares;

/**
 * Moleculer's circuit breaker, for calls to other nodes only: callers avoid a node that does not
 * respond and use another. A service in the same process has no alternative; its failures are
 * immediate, and an open breaker would only prolong them. Actions of internal services such as
 * `$node` have no alternative either: their caller selects the node.
 */
export function circuitBreaker(broker: ServiceBroker): Middleware {
	const { created, stopped, remoteAction } = CircuitBreaker(broker);
	/**
	 * The called node has the same time limit and may report the timeout first. It counts as its own
	 * timeout, not as one of a third node.
	 */
	const isOurTimeout = (error: unknown, action: string): boolean => {
		const { type, nodeID, data } = (error ?? {}) as {
			type?: string;
			nodeID?: string;
			data?: { action?: string; nodeID?: string };
		};
		return (
			type === "REQUEST_TIMEOUT" &&
			nodeID !== undefined &&
			data?.action === action &&
			data.nodeID === broker.nodeID
		);
	};
	return {
		name: "Breaker",
		created(broker: ServiceBroker) {
			created(broker);
			const logger = broker.getLogger("breaker");
			const logEvent = (event: string, message: string) =>
				broker.localBus.on(`$circuit-breaker.${event}`, (data) => logger.warn(message, data));
			logEvent("opened", "A circuit breaker opened");
			logEvent("half-opened", "A circuit breaker lets one call through");
			logEvent("closed", "A circuit breaker closed");
		},
		stopped,
		remoteAction(this: ServiceBroker, next: Handler, action: { name: string }): Handler {
			if (action.name.startsWith("$")) return next;
			const withOurTimeout: Handler = async (ctx) => {
				try {
					return await next(ctx);
				} catch (error) {
					throw isOurTimeout(error, action.name)
						? new Errors.RequestTimeoutError({ action: action.name, nodeID: ctx.nodeID! })
						: error;
				}
			};
			const guarded = remoteAction.call(this, withOurTimeout, action);
			return async (ctx) => {
				const { endpoint } = ctx;
				removeStaleBreaker(broker, endpoint);
				try {
					const result = await guarded(ctx);
					resetFailures(broker, endpoint);
					return result;
				} catch (error) {
					if (isConclusive(error)) resetFailures(broker, endpoint);
					throw error;
				}
			};
		},
	} as unknown as Middleware;
}
