/** Orders of the list, with their labels. */
export const SORTS = {
	"-created_at": "Newest first",
	name: "Name",
	price: "Price, lowest first",
	"-price": "Price, highest first",
} as const;
type Sort = keyof typeof SORTS | "relevance";

export const STOCK = { true: "In stock", false: "Sold out" } as const;

interface Filters {
	readonly q?: string;
	readonly category?: string;
	readonly in_stock?: boolean;
	readonly sort?: Sort;
}
/** Parameters of `products.list` by the query parameters of the page. Ignores invalid values. */
export function filtersOf(query: URLSearchParams): Filters {
	const [q, category, stock, sort] = ["q", "category", "stock", "sort"].map((name) =>
		(query.get(name) ?? "").trim(),
	) as [string, string, string, string];
	return {
		...(q ? { q: q.slice(0, 200) } : {}),
		...(category ? { category: category.slice(0, 100) } : {}),
		...(Object.hasOwn(STOCK, stock) ? { in_stock: stock === "true" } : {}),
		...(Object.hasOwn(SORTS, sort) ? { sort: sort as Sort } : q ? {} : { sort: "-created_at" }),
	};
}

interface Category {
	readonly path: string;
	readonly count: number;
	readonly children: readonly unknown[];
}
/** Labels of all categories by path, with the number of products. */
export function categoryChoices(tree: readonly Category[]): Record<string, string> {
	return Object.fromEntries(
		tree.flatMap(({ path, count, children }) => [
			[path, `${path} (${count})`],
			...Object.entries(categoryChoices(children as Category[])),
		]),
	);
}
