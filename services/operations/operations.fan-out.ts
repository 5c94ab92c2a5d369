import type { CallingOptions, Logger, ServiceBroker } from "moleculer";
import { invalidField } from "../../lib/contracts/errors.ts";
import type { EventActions } from "../../lib/contracts/event-actions.ts";
import type { Input, Value } from "../../lib/contracts/schema.ts";
import { isRefusal, isUnavailable } from "../../lib/resilience/outages.ts";

type EventAction = keyof EventActions;
type Params<A extends EventAction> = Input<EventActions[A]["params"]>;
type Result<A extends EventAction> = Value<EventActions[A]["returns"]>;
/** Calls an action whose service is only known at run time. */
export type CallAny = (action: string, params: object, options: CallingOptions) => Promise<unknown>;

interface Results<A extends EventAction> {
	readonly results: readonly { readonly service: string; readonly result: Result<A> }[];
	/** Services whose result is missing, sorted. */
	readonly unavailable: string[];
}

/** Calls an event action of one service or of all services that have it. */
export interface FanOut {
	/**
	 * @param service all if undefined
	 * @param ms time limit of each call
	 * @throws VALIDATION_ERROR if no such service exists, or the errors of the action (4xx)
	 */
	callEach<A extends EventAction>(
		call: CallAny,
		action: A,
		params: Params<A>,
		options: { readonly service?: string | undefined; readonly ms: number },
	): Promise<Results<A>>;
	/** Whether the registry has or had this action. */
	has(service: string, action: EventAction): boolean;
}

/**
 * @param names of the shop's services: one that has not been available since this node started is
 * reported as unavailable, because its actions are unknown
 */
export function fanOut(
	{ registry }: ServiceBroker,
	logger: Pick<Logger, "warn">,
	names: readonly string[],
): FanOut {
	/** Services with the action, or that may have it; sorted. */
	function candidates(action: EventAction): string[] {
		const actions = registry.getActionList({ onlyAvailable: false }).map(({ name }) => name);
		// The registry keeps the actions of a service that is down, and lists no private actions.
		const seen = new Set([
			...actions.map((name) => name.slice(0, name.lastIndexOf("."))),
			...registry.getServiceList({ skipInternal: true }).map(({ name }) => name),
		]);
		const known = actions.flatMap((name) =>
			name.endsWith(`.${action}`) ? [name.slice(0, -action.length - 1)] : [],
		);
		return [...new Set([...known, ...names.filter((name) => !seen.has(name))])].sort();
	}
	function select(action: EventAction, service: string | undefined): string[] {
		const all = candidates(action);
		if (service === undefined) return all;
		if (!all.includes(service))
			throw invalidField("service", "UNKNOWN", `No service named ${service} has dead letters`);
		return [service];
	}
	return {
		has: (service, action) => candidates(action).includes(service),
		async callEach<A extends EventAction>(
			call: CallAny,
			action: A,
			params: Params<A>,
			{ service, ms }: { service?: string | undefined; ms: number },
		) {
			const unavailable: string[] = [];
			const found = await Promise.all(
				select(action, service).map(async (name) => {
					try {
						const result = await call(`${name}.${action}`, params, { timeout: ms });
						return [{ service: name, result: result as Result<A> }];
					} catch (error) {
						if (isRefusal(error)) throw error;
						if (!isUnavailable(error))
							logger.warn("A service failed and is missing in a result", {
								action,
								of: name,
								error,
							});
						unavailable.push(name);
						return [];
					}
				}),
			);
			return { results: found.flat(), unavailable: unavailable.sort() };
		},
	};
}
