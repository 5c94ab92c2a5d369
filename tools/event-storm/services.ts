import type { ServiceSchema } from "moleculer";
import { contract } from "../../lib/contracts/contract.ts";
import type { Event } from "../../lib/contracts/event.ts";
import { eventActions } from "../../lib/contracts/event-actions.ts";
import type { Tx } from "../../lib/persistence/database.ts";
import { defineService } from "../../lib/service/define-service.ts";
import { database } from "../../mixins/database.mixin.ts";
import { durableEvents } from "../../mixins/durable-events.mixin.ts";
import { orders } from "../../services/orders/orders.contract.ts";

/** The consumer groups, under names of services, for they need databases. */
export const GROUPS = ["shipping", "payments"] as const;
/** The group that starts only after the idle stream was wiped. */
export const LATE = "inventory";
export const ALL_GROUPS = [...GROUPS, LATE] as const;
/** What an event is about that no handler can take. */
export const POISON = "poison";

/** Where a group's handler writes down what it was given: nothing here keeps an event from being written twice. */
export const EFFECTS =
	"create table effects (event_id uuid not null, at bigint generated always as identity)";
const NOTE = "insert into effects (event_id) select unnest($1::uuid[])";

/** Who writes the events. */
export function producer(): ServiceSchema {
	const source = contract({ name: "orders", actions: { ...eventActions }, events: orders.events });
	return defineService(source)({ mixins: [database, durableEvents], actions: {} });
}

export function consumer(name: (typeof ALL_GROUPS)[number]): ServiceSchema {
	const group = contract({ name, actions: { ...eventActions } });
	const take = async (tx: Tx, found: readonly Event[]) => {
		await tx.query(NOTE, [found.map(({ id }) => id)]);
		if (found.some(({ subject }) => subject === POISON))
			throw new Error("No handler can take this");
	};
	return defineService(group)({
		mixins: [database, durableEvents],
		subscriptions: { "order.*": take },
		actions: {},
	});
}
