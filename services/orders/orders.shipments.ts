import { type Traced, traceparentsOf } from "../../lib/context/traceparent.ts";
import type { Event } from "../../lib/contracts/event.ts";
import type { Queryable } from "../../lib/persistence/database.ts";
import { type Status, statusesBefore } from "./orders.rules.ts";
import * as statements from "./orders.statements.ts";

/**
 * Moves orders to the status that the events about their shipments report, also if the node that
 * requested the shipment crashed before it recorded the result.
 * @throws if an event cannot be applied yet, so that the inbox retries it: a saga still holds the
 *   order, a saga released it between the two statements, or an earlier event is missing
 */
export function followShipment(from: Status, to: Status) {
	const earlierStatuses = statusesBefore(to);
	return async (tx: Queryable, events: readonly Event[]) => {
		const ids = events.map(({ subject }) => subject);
		await advance(tx, ids, from, to, events);
		const early = await withStatus(tx, ids, earlierStatuses);
		if (early.length > 0)
			throw new Error(`Orders cannot become ${to} yet: ${early.map(({ id }) => id)}`);
	};
}

/**
 * Moves orders without an open saga from one status to the next, and returns the IDs of those that
 * moved.
 * @param traces the trace of each order's event; the current trace unless given
 */
export const advance = (
	db: Queryable,
	ids: readonly string[],
	from: Status,
	to: Status,
	traces: readonly Traced[] = ids.map(() => ({})),
): Promise<{ id: string }[]> =>
	db.query(statements.ADVANCE, [ids, from, to, `order.${to}`, traceparentsOf(traces)]);

/** IDs of those orders that have one of the statuses. */
export const withStatus = (
	db: Queryable,
	ids: readonly string[],
	statuses: readonly Status[],
): Promise<{ id: string }[]> => db.query(statements.WITH_STATUS, [ids, statuses]);
