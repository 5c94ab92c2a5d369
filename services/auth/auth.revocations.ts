import type { Queryable } from "../../lib/persistence/database.ts";
import { REVOCATIONS_PAGE_SIZE, type Revocation } from "../../lib/security/revocations.ts";
import * as statements from "./auth.statements.ts";

/** A row of a page. The only row of an empty page has no ID. */
interface Row extends Revocation {
	readonly id: number | null;
	readonly now: string;
	/** Snapshot in which all pages of the list are read. */
	readonly upto: string;
	/** The cursor is from another database server, or from before a restore. */
	readonly ahead: boolean;
}

interface Page {
	readonly revocations: Revocation[];
	readonly now: string;
	readonly cursor?: string;
	readonly more?: boolean;
}

/**
 * Lists revocations by snapshot, in the way a relay reads an outbox (lib/messaging/outbox.ts), so
 * that a row that commits late is not missed, whatever its time and the clock.
 * @param cursor `seen/upto/id`: the snapshot of the previous list and, within a list, its snapshot
 * and the last ID
 */
export async function listRevocations(db: Queryable, cursor = "//0"): Promise<Page> {
	const [seen = "", upto = "", id] = cursor.split("/");
	const position = [upto || null, id];
	const rows = await (seen
		? db.query<Row>(statements.LIST_NEW_REVOCATIONS, [...position, seen])
		: db.query<Row>(statements.LIST_REVOCATIONS, position));
	const [{ now, upto: snapshot, ahead }] = rows as [Row];
	if (ahead) return listRevocations(db);
	const more = rows.length === REVOCATIONS_PAGE_SIZE;
	return {
		revocations: rows.flatMap(({ id, now: _, upto: __, ahead: ___, ...row }) =>
			id === null ? [] : [row],
		),
		now,
		cursor: more ? `${seen}/${snapshot}/${rows.at(-1)!.id}` : `${snapshot}//0`,
		more,
	};
}

/** Lists revocations since a time, for gateways of older versions, which overlap their reads. */
export async function listRevocationsSince(db: Queryable, since: string): Promise<Page> {
	// Read the clock first: a row that commits later is younger or within the gateway's overlap.
	const [clock] = await db.query<{ now: string }>(statements.NOW);
	const values = [since];
	return {
		now: clock!.now,
		revocations: await db.query<Revocation>(statements.LIST_REVOCATIONS_SINCE, values),
	};
}
