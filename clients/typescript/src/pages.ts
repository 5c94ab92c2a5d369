import { type Lazy, lazy } from "./lazy.ts";
import type { Params } from "./requests.ts";
import { type ApiResponse, toResponse } from "./result.ts";

/** Rows of one page. */
export type Rows<T> = T[] & {
	/** Number of rows on all pages; an estimate above 10,000. */
	readonly total: number;
	/** Words that were found instead of those of the search `q`, which no row contains. */
	readonly corrected?: string;
};

/**
 * List in pages. `await` loads the first page; `for await` loads all rows, page by page. Each use
 * starts with the first page.
 */
export interface Page<T> extends Lazy<Rows<T>>, AsyncIterable<T> {
	/** Loads the pages one after another. */
	pages(): AsyncIterableIterator<Rows<T>>;
	/** Loads the first page, with the status and headers of its response. */
	withResponse(): Promise<ApiResponse<Rows<T>>>;
}

interface Source<T> {
	readonly params: Params;
	/** The list can be continued after the last row: unlike `skip`, as fast on every page. */
	readonly keyset: boolean;
	load(params: Params): Promise<ApiResponse<Rows<T>>>;
}

export function toPage<T>(source: Source<T>): Page<T> {
	const first = () => source.load(source.params);
	async function* pages() {
		for (let params: Params | undefined = source.params; params; ) {
			const { value, headers } = await source.load(params);
			yield value;
			params = nextPage(source, params, value, headers);
		}
	}
	return {
		...lazy(async () => (await first()).value),
		withResponse: first,
		pages,
		async *[Symbol.asyncIterator]() {
			for await (const rows of pages()) yield* rows;
		},
	};
}

/** Parameters of the page after `rows`, if the response refers to one (RFC 8288). */
function nextPage<T>(
	{ keyset }: Source<T>,
	params: Params,
	rows: readonly T[],
	headers: Headers,
): Params | undefined {
	const next = /<([^>]*)>; *rel="?next"?/.exec(headers.get("link") ?? "")?.[1];
	const last = rows.at(-1) as { readonly id?: unknown } | undefined;
	if (next === undefined || last === undefined) return undefined;
	if (keyset) {
		const { skip: _, ...others } = params;
		return { ...others, after: last.id };
	}
	const skip = new URLSearchParams(next.slice(next.indexOf("?") + 1)).get("skip");
	return skip === null ? undefined : { ...params, skip };
}

/** Reads the rows of a response. */
export async function readRows<T>(response: Response): Promise<ApiResponse<Rows<T>>> {
	const rows = (await response.json()) as T[];
	const total = Number(response.headers.get("x-total-count") ?? rows.length);
	const corrected = response.headers.get("x-search-corrected");
	// Not enumerable, so that the rows compare like an ordinary array.
	Object.defineProperty(rows, "total", { value: total });
	if (corrected) Object.defineProperty(rows, "corrected", { value: decodeURI(corrected) });
	return toResponse(response, rows as Rows<T>);
}
