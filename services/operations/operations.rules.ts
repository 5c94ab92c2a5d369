import { invalidField } from "../../lib/contracts/errors.ts";
import type { Infer } from "../../lib/contracts/schema.ts";
import type { DeadLetterFilter } from "../../lib/messaging/dead-letters.ts";
import type { operations } from "./operations.contract.ts";

type Selection = Infer<(typeof operations)["actions"]["discard"]["params"]>;

/** Matches every dead letter. The actions of services require at least one field. */
const EVERYTHING: DeadLetterFilter = { since: "0001-01-01T00:00:00Z" };

/**
 * The dead letters that a request selects: of one service, or of all if `service` is undefined.
 * @throws VALIDATION_ERROR if `all` is combined with another field
 */
export function toFilter({ service, event_id, type, all }: Selection): {
	readonly service: string | undefined;
	readonly filter: DeadLetterFilter;
} {
	const filter = { ...(event_id ? { event_id } : {}), ...(type ? { type } : {}) };
	const isEmpty = Object.keys(filter).length === 0;
	if (all && (service !== undefined || !isEmpty))
		throw invalidField("all", "EXCLUSIVE", "The 'all' field excludes service, event_id and type");
	return { service, filter: isEmpty ? EVERYTHING : filter };
}

/** @throws VALIDATION_ERROR if a request would discard everything by omission */
export function assertSelective({ service, event_id, type, all }: Selection): void {
	if (service === undefined && event_id === undefined && type === undefined && !all)
		throw invalidField("all", "REQUIRED", "Set service, event_id or type, or set all to true");
}

/** @throws VALIDATION_ERROR if the position in the list has no service */
export function assertPosition({ service, after }: { service?: string; after?: string }): void {
	if (after !== undefined && service === undefined)
		throw invalidField("service", "REQUIRED", "The 'after' field requires the 'service' field");
}

/** The oldest rows of several services, at most `limit`. */
export function oldestFirst<Row extends { readonly dead_at: string; readonly event_id: string }>(
	rows: readonly Row[],
	limit: number,
): Row[] {
	const key = ({ dead_at, event_id }: Row) => `${dead_at} ${event_id}`;
	return rows.toSorted((a, b) => (key(a) < key(b) ? -1 : 1)).slice(0, limit);
}
