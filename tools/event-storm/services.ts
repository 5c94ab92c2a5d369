import type { ServiceSchema } from "moleculer";
import { contract } from "../../lib/contracts/contract.ts";
import type { Event } from "../../lib/contracts/event.ts";
import { eventActions } from "../../lib/contracts/event-actions.ts";
import type { Tx } from "../../lib/persistence/database.ts";
import { defineService } from "../../lib/service/define-service.ts";
import { database } from "../../mixins/database.mixin.ts";
import { durableEvents } from "../../mixins/durable-events.mixin.ts";
import { orders } from "../../services/orders/orders.contract.ts";

/** Consumer groups. They use names of services, because each needs a database. */
export const GROUPS = ["shipping", "payments"] as const;
/** The group that starts only after the idle stream was deleted. */
export const LATE = "inventory";
export const ALL_GROUPS = [...GROUPS, LATE] as const;
/** Subject of events that every handler rejects. */
export const POISON = "poison";

/** Events that a handler has processed. Without a unique index, so that duplicates are visible. */
export const EFFECTS =
	"create table effects (event_id uuid not null, at bigint generated always as identity)";
const RECORD = "insert into effects (event_id) select unnest($1::uuid[])";

/** The service that publishes the events. */
export function producer(): ServiceSchema {
	const source = contract({ name: "orders", actions: { ...eventActions }, events: orders.events });
	return defineService(source)({ mixins: [database, durableEvents], actions: {} });
}

/** A service that records each event of its group, and rejects poison. */
export function consumer(name: (typeof ALL_GROUPS)[number]): ServiceSchema {
	const group = contract({ name, actions: { ...eventActions } });
	const record = async (tx: Tx, events: readonly Event[]) => {
		await tx.query(RECORD, [events.map(({ id }) => id)]);
		if (events.some(({ subject }) => subject === POISON)) throw new Error("Poison");
	};
	return defineService(group)({
		mixins: [database, durableEvents],
		subscriptions: { "order.*": record },
		actions: {},
	});
}
