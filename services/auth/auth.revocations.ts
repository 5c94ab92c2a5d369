import { type Queryable, sql } from "../../lib/persistence/database.ts";
import { REVOCATIONS_PAGE_SIZE, type Revocation } from "../../lib/security/revocations.ts";
import { TOKEN_LIFETIME } from "./auth.sessions.ts";

const COLUMNS = "user_id, below, except_session as except, session_id, at";
const LIST_SINCE = sql(
	"list_revocations_since",
	`select ${COLUMNS} from revocations where at >= $1 order by at limit ${REVOCATIONS_PAGE_SIZE}`,
);
const NOW = sql("now", "select now()");

/** A row of a page; without an id where the page is empty. */
interface Row extends Revocation {
	readonly id: number | null;
	readonly now: string;
	/** The snapshot that the whole list is read in. */
	readonly upto: string;
	/** The cursor comes from another server's transactions, or from before a restore. */
	readonly ahead: boolean;
}
/**
 * A page of rows that had committed in the snapshot `$1`, or by now if it is null, behind the id `$2`.
 * @param which the condition on the list
 */
const page = (name: string, which: string, ahead: string) =>
	sql(
		name,
		`select id, ${COLUMNS}, now(), coalesce($1::pg_snapshot, pg_current_snapshot())::text as upto, ${ahead} as ahead
		from (select) once left join (select id, user_id, below, except_session, session_id, at from revocations
			where id > $2 and ${which} and ($1::pg_snapshot is null or xid is null or pg_visible_in_snapshot(xid, $1::pg_snapshot))
			order by id limit ${REVOCATIONS_PAGE_SIZE}) page on true
		order by id`,
	);
const LIST_ALL = page("list_revocations", `at >= now() - ${TOKEN_LIFETIME}`, "false");
/** Rows that had not committed in the snapshot `$3`. */
const LIST_NEW = page(
	"list_new_revocations",
	"xid >= pg_snapshot_xmin($3::pg_snapshot) and not pg_visible_in_snapshot(xid, $3::pg_snapshot)",
	"pg_snapshot_xmax($3::pg_snapshot) > pg_snapshot_xmax(pg_current_snapshot())",
);

interface Page {
	readonly revocations: Revocation[];
	readonly now: string;
	readonly cursor?: string;
	readonly more?: boolean;
}

/**
 * Revocations by snapshot, as an outbox is read (lib/messaging/outbox.ts): a row that commits late is never
 * missed, whatever its time and the clock say. A cursor is `seen/upto/id`: the snapshot in which the
 * last list was read, and within a list its snapshot and the last id.
 */
export async function list(db: Queryable, cursor = "//0"): Promise<Page> {
	const [seen = "", upto = "", id] = cursor.split("/");
	const place = [upto || null, id];
	const rows = await (seen
		? db.query<Row>(LIST_NEW, [...place, seen])
		: db.query<Row>(LIST_ALL, place));
	const [{ now, upto: snapshot, ahead }] = rows as [Row];
	if (ahead) return list(db);
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

/** For gateways of older versions, which look again at the time before their last look. */
export async function listSince(db: Queryable, since: string): Promise<Page> {
	// The clock is read first: a row that commits later is younger, or falls into the gateway's overlap.
	const [clock] = await db.query<{ now: string }>(NOW);
	return { now: clock!.now, revocations: await db.query<Revocation>(LIST_SINCE, [since]) };
}
