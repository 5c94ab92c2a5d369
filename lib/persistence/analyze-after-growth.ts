import { type Queryable, sql } from "./database.ts";

/** Factor by which a table grows until it is analyzed again. */
const GROWTH = 10;
/** Size in pages up to which reading a whole table takes less than a millisecond. */
const SMALL_PAGES = 10;

const HAS_GROWN = sql(
	"has_grown",
	`select pg_relation_size(oid) > ${GROWTH}
			* greatest(relpages, ${SMALL_PAGES}) * current_setting('block_size')::int as has_grown
	from pg_class where oid = $1::regclass`,
);

/**
 * Analyzes a table that has grown tenfold since its last analysis. Sessions keep the plans that
 * they made for a nearly empty table, which read all of its rows, until it is analyzed. Autovacuum
 * looks for such a table once a minute, in which an import adds tens of thousands of rows.
 * @param table a name, which is not quoted
 */
export async function analyzeAfterGrowth(db: Queryable, table: string): Promise<void> {
	const [row] = await db.query<{ has_grown: boolean }>(HAS_GROWN, [table]);
	if (row!.has_grown) await db.query(`analyze ${table}`);
}
