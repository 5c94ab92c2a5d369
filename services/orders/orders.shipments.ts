import type { Event } from "../../lib/contracts/event.ts";
import type { Queryable } from "../../lib/persistence/database.ts";
import * as rules from "./orders.rules.ts";
import * as store from "./saga/store.ts";

/**
 * Moves orders to the status that the events about their shipments report, also if the node that
 * requested the shipment crashed before it recorded the result.
 * @throws if an event cannot be applied yet, so that the inbox retries it: a saga still holds the
 *   order, a saga released it between the two statements, or an earlier event is missing
 */
export function followShipment(from: rules.Status, to: rules.Status) {
	const before = rules.statusesBefore(to);
	return async (tx: Queryable, found: readonly Event[]) => {
		const ids = found.map(({ subject }) => subject);
		await store.advance(tx, ids, from, to, found);
		const early = await store.withStatus(tx, ids, before);
		if (early.length > 0)
			throw new Error(`Orders cannot become ${to} yet: ${early.map(({ id }) => id)}`);
	};
}
