import { type Queryable, type Statement, sql } from "./database.ts";

/** A list of so many rows or fewer is counted. Of a longer one the total is an estimate, for counting takes as long as the list is. */
export const EXACT_UP_TO = 10_000;
/** So many are counted before anything else is tried, and what Postgres takes for so much longer than COUNTED is not counted any further. */
const FEW = 1000;
const FAR = 5;

interface Explained {
	readonly "QUERY PLAN": readonly [{ readonly Plan: { readonly "Plan Rows": number } }];
}
/** How many rows Postgres takes a list for, by what it found when it last analysed the table. */
export async function estimateCount(
	db: Queryable,
	all: string,
	values: readonly unknown[] = [],
): Promise<number> {
	const [explained] = await db.query<Explained>(`explain (format json) ${all}`, values);
	return explained!["QUERY PLAN"][0].Plan["Plan Rows"];
}

/**
 * How many rows there are in a list: exactly, up to COUNTED; above that, what Postgres takes them for, and at least one more.
 * @param all finds every one of them
 */
export async function approximateCount(
	db: Queryable,
	all: Statement | string,
	values: readonly unknown[] = [],
): Promise<number> {
	const text = typeof all === "string" ? all : all.text;
	const count = async (most: number) => {
		const counting = `select count(*) as total from (${text} limit ${most + 1}) as counted`;
		return (
			await db.query<{ total: number }>(
				typeof all === "string" ? counting : sql(`${all.name}_${most}`, counting),
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

/** Where a page begins, and how long it may be. */
export interface PageRequest {
	readonly skip: number;
	readonly limit: number;
	/** What `skip` counts from, where that is not the beginning of the list. */
	readonly pageFilter?: object;
}
/** A page with its list's total. An estimate gives way to what the page shows: whether something may come behind it, and where the list ends. */
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
