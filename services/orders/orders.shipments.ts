import type { Queryable } from "../../lib/database.ts";
import type { Event } from "../../lib/events.ts";
import type * as rules from "./orders.rules.ts";
import * as store from "./orders.store.ts";

/** The status follows what happened to the parcel, also where whoever asked for it did not live to note it. */
export function followShipment(from: rules.Status, to: rules.Status) {
	return async (tx: Queryable, found: readonly Event[]) => {
		const ids = found.map(({ subject }) => subject);
		await store.advance(tx, ids, from, to, found);
		const waiting = await store.busy(tx, ids, from);
		if (waiting.length > 0) throw new Error(`Sagas are still working on ${waiting.map(({ id }) => id)}`);
	};
}
