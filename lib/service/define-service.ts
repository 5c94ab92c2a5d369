import type { Context, ServiceSchema } from "moleculer";
import { toActionSchema, withoutSharedReferences } from "../contracts/action-schema.ts";
import type { Contract, Contracts, Ctx, Mixin, ServiceThis } from "../contracts/contract.ts";
import type { EventActions } from "../contracts/event-actions.ts";
import type { Infer, Value } from "../contracts/schema.ts";
import { ignoreUnknownFields, rejectUnknownFields } from "../contracts/unknown-fields.ts";
import type { Subscriptions } from "../messaging/subscriptions.ts";

/** Members that a tuple of mixins adds to a service. */
type Members<Mixins> = Mixins extends readonly [Mixin<infer M>, ...infer Rest]
	? M & Members<Rest>
	: unknown;

type ActionHandler<This, Action> = Action extends { params: infer Params; returns: infer Returns }
	? (this: This, ctx: Ctx<Infer<Params>>) => Promise<Value<Returns>>
	: never;

/** A Moleculer service schema, typed by its contract and by the mixins it lists. */
interface Schema<C extends Contract, Mixins extends readonly Mixin[], State, Methods> {
	/** Started in this order, stopped in reverse. */
	mixins?: Mixins;
	/** Services that must be available before `started` runs. */
	dependencies?: (keyof Contracts)[];
	settings?: object;
	/** Runs before start. The members it returns become part of `this`. */
	created?(this: ServiceThis & Members<Mixins>): State;
	methods?: Methods & ThisType<ServiceThis & Members<Mixins> & State & Methods>;
	/** One handler per action of the contract, except those of the durable-events mixin. */
	actions: {
		[Name in Exclude<keyof C["actions"], keyof EventActions>]: ActionHandler<
			ServiceThis & Members<Mixins> & State & Methods,
			C["actions"][Name]
		>;
	};
	/** Durable subscriptions: each event takes effect once (outbox, JetStream, inbox). */
	subscriptions?: Subscriptions<ServiceThis & Members<Mixins> & State & Methods>;
	/** Plain Moleculer events: hints that may be lost. */
	events?: {
		[name: string]: (
			this: ServiceThis & Members<Mixins> & State & Methods,
			ctx: Context,
		) => void | Promise<void>;
	};
	/** Runs after all mixins have started and all dependencies are available. */
	started?(this: ServiceThis & Members<Mixins> & State & Methods): void | Promise<void>;
	/** Runs before the mixins stop. */
	stopped?(this: ServiceThis & Members<Mixins> & State & Methods): void | Promise<void>;
}

/**
 * Turns a contract and a schema literal into a Moleculer service schema. Parameters are validated,
 * published and documented from the contract.
 *
 * The function is curried because TypeScript infers the contract first this way. In a single call,
 * inferring `State` from `created` widens the enum results of actions to `string`. For the same
 * reason a schema lists `created` and `methods` before `actions`.
 */
export const defineService =
	<const C extends Contract>(contract: C) =>
	<const Mixins extends readonly Mixin[] = readonly [], State = unknown, Methods = unknown>(
		schema: Schema<C, Mixins, State, Methods>,
	): ServiceSchema => {
		const { mixins = [], created, actions, subscriptions = {}, ...rest } = schema;
		const handlers = actions as Record<string, unknown>;
		return {
			...rest,
			name: contract.name,
			// Moleculer starts the last mixin first.
			mixins: [...mixins].reverse() as unknown as ServiceSchema[],
			metadata: withoutSharedReferences({
				events: contract.events,
				errors: contract.errors,
				subscriptions: Object.keys(subscriptions),
			}),
			subscriptions,
			actions: Object.fromEntries(
				Object.entries(contract.actions)
					.filter(([name]) => name in handlers)
					.map(([name, action]) => [
						name,
						toActionSchema(
							action,
							handlers[name],
							action.rest ? rejectUnknownFields : ignoreUnknownFields,
						),
					]),
			),
			created(this: ServiceThis & Members<Mixins>) {
				if (created) Object.assign(this, created.call(this));
			},
		} as unknown as ServiceSchema;
	};
