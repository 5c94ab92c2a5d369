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
 * moleculer's circuit breaker, for calls to other nodes only: it keeps callers from waiting for a node that does not answer and sends them to
 * another. A service in the same process has no other; its failures come at once, and shutting it for a while would only prolong them.
 */
export function circuitBreaker(broker: ServiceBroker): Middleware {
	const { created, stopped, remoteAction } = CircuitBreaker(broker);
	/** The called node has the same time and may be the first to say that it is up. That is its own silence, and no third node's. */
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
			const tell = (event: string, message: string) =>
				broker.localBus.on(`$circuit-breaker.${event}`, (data) => logger.warn(message, data));
			tell("opened", "A circuit breaker opened");
			tell("half-opened", "A circuit breaker lets one call through");
			tell("closed", "A circuit breaker closed");
		},
		stopped,
		remoteAction(this: ServiceBroker, next: Handler, action: { name: string }): Handler {
			const unmasked: Handler = async (ctx) => {
				try {
					return await next(ctx);
				} catch (error) {
					throw isOurTimeout(error, action.name)
						? new Errors.RequestTimeoutError({ action: action.name, nodeID: ctx.nodeID! })
						: error;
				}
			};
			const guarded = remoteAction.call(this, unmasked, action);
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
