import { type Queryable, type Statement, sql } from "./database.ts";

/** A list of so many rows or fewer is counted. Of a longer one the total is an estimate, for counting takes as long as the list is. */
export const COUNTED = 10_000;

interface Explained {
	readonly "QUERY PLAN": readonly [{ readonly Plan: { readonly "Plan Rows": number } }];
}

/**
 * How many rows there are in a list: exactly, up to COUNTED; above that, what Postgres takes them for since it last analysed the table, and at least one more.
 * @param all finds every one of them
 */
export async function totalOf(db: Queryable, all: Statement | string, values: readonly unknown[] = []): Promise<number> {
	const text = typeof all === "string" ? all : all.text;
	const count = `select count(*) as total from (${text} limit ${COUNTED + 1}) as counted`;
	const [counted] = await db.query<{ total: number }>(typeof all === "string" ? count : sql(all.name, count), values);
	if (counted!.total <= COUNTED) return counted!.total;
	const [explained] = await db.query<Explained>(`explain (format json) ${text}`, values);
	return Math.max(COUNTED + 1, explained!["QUERY PLAN"][0].Plan["Plan Rows"]);
}

/** Where a page begins, and how long it may be. */
export interface Place {
	readonly skip: number;
	readonly limit: number;
	/** What `skip` counts from, where that is not the beginning of the list. */
	readonly page?: object;
}
/** A page with its list's total. An estimate gives way to what the page shows: whether something may come behind it, and where the list ends. */
export function pageOf<Row>(rows: Row[], total: number, { skip, limit, page }: Place): { rows: Row[]; total: number } {
	const shown = skip + rows.length;
	if (total <= COUNTED) return { rows, total };
	if (rows.length === limit) return { rows, total: Math.max(total, shown + 1) };
	if (page) return { rows, total };
	return { rows, total: rows.length > 0 ? shown : Math.min(total, skip) };
}
