const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

/** Statuses by which the list can be filtered, with their labels. */
export const STATUSES = {
	pending: "Pending",
	confirmed: "Confirmed",
	shipped: "Shipped",
	delivered: "Delivered",
	cancelled: "Cancelled",
} as const;
type Status = keyof typeof STATUSES;

/** Meaning of the text of a search. Only complete IDs and e-mail addresses select orders. */
export type Search =
	| { readonly by: "all" }
	| { readonly by: "id"; readonly id: string }
	| { readonly by: "email"; readonly email: string }
	| { readonly by: "incomplete" };

export function searchOf(text: string): Search {
	const q = text.trim();
	if (q === "") return { by: "all" };
	if (UUID.test(q)) return { by: "id", id: q.toLowerCase() };
	return /^\S+@\S+\.\S+$/.test(q) ? { by: "email", email: q } : { by: "incomplete" };
}

/** Parameters of `orders.list` by the query parameters of the page. Ignores invalid values. */
export function filtersOf(query: URLSearchParams): { status?: Status; from?: string; to?: string } {
	const [status, from, to] = [query.get("status"), time(query.get("from")), time(query.get("to"))];
	return {
		...(status && status in STATUSES ? { status: status as Status } : {}),
		...(from ? { from } : {}),
		...(to ? { to } : {}),
	};
}

/** A local time such as 2030-01-31T12:00 in UTC. */
function time(local: string | null): string | undefined {
	const parsed = new Date(local ?? "");
	return Number.isNaN(parsed.getTime()) ? undefined : parsed.toISOString();
}
