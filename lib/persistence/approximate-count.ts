import { type Queryable, type Statement, sql } from "./database.ts";

/**
 * Longest list that is counted exactly. The total of a longer one is an estimate, because counting
 * time grows with the list.
 */
export const EXACT_UP_TO = 10_000;
/**
 * Rows counted before the planner's estimate is used. Above FAR × EXACT_UP_TO, the estimate is used
 * without a further count.
 */
const FEW = 1000;
const FAR = 5;

interface Explained {
	readonly "QUERY PLAN": readonly [{ readonly Plan: { readonly "Plan Rows": number } }];
}
/** The planner's estimate of a list's length, from the last analysis of the table. */
export async function estimateCount(
	db: Queryable,
	all: string,
	values: readonly unknown[] = [],
): Promise<number> {
	const [explained] = await db.query<Explained>(`explain (format json) ${all}`, values);
	return explained!["QUERY PLAN"][0].Plan["Plan Rows"];
}

/**
 * Counts a list: exactly up to EXACT_UP_TO; above that, the planner's estimate, but at least one
 * more.
 * @param all a statement that returns every row
 */
export async function approximateCount(
	db: Queryable,
	all: Statement | string,
	values: readonly unknown[] = [],
): Promise<number> {
	const text = typeof all === "string" ? all : all.text;
	const count = async (limit: number) => {
		const counting = `select count(*) as total from (${text} limit ${limit + 1}) as counted`;
		return (
			await db.query<{ total: number }>(
				typeof all === "string" ? counting : sql(`${all.name}_${limit}`, counting),
				values,
			)
		)[0]!.total;
	};
	const few = await count(FEW);
	if (few <= FEW) return few;
	const estimate = await estimateCount(db, text, values);
	if (estimate > FAR * EXACT_UP_TO) return estimate;
	const counted = await count(EXACT_UP_TO);
	return counted <= EXACT_UP_TO ? counted : Math.max(counted, estimate);
}

/** Position and size of a page. */
export interface PageRequest {
	readonly skip: number;
	readonly limit: number;
	/** Start of the page (keyset pagination), from which `skip` counts. */
	readonly pageFilter?: object;
}
/**
 * Combines a page with the list's total. An estimated total is corrected by the page: whether more
 * rows may follow, and where the list ends.
 */
export function pageOf<Row>(
	rows: Row[],
	total: number,
	{ skip, limit, pageFilter }: PageRequest,
): { rows: Row[]; total: number } {
	const shown = skip + rows.length;
	if (total <= EXACT_UP_TO) return { rows, total };
	if (rows.length === limit) return { rows, total: Math.max(total, shown + 1) };
	if (pageFilter) return { rows, total };
	return { rows, total: rows.length > 0 ? shown : Math.min(total, skip) };
}
