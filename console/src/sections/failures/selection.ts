const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

/** Dead letters that match all given fields. */
export interface Selection {
	readonly service?: string;
	/** Event type (order.confirmed), or all types of a kind (order.*). */
	readonly type?: string;
}

/** Selection by the query parameters of the page. A word such as "order" selects its kind. */
export function selectionOf(query: URLSearchParams): Selection {
	const [service, text] = [query.get("service"), query.get("type")?.trim()];
	const type = text && /^\w+\.?$/.test(text) ? `${text.replace(".", "")}.*` : text;
	return { ...(service ? { service } : {}), ...(type ? { type } : {}) };
}

/**
 * Position of the page: the last event of the previous page. Only the list of one service can be
 * continued. The parameter is `page`, because a change of a filter removes it.
 */
export function positionOf(query: URLSearchParams): { after?: string } {
	const after = query.get("page");
	return after && UUID.test(after) && query.get("service") ? { after } : {};
}

/** Title of a dead letter: its type, which an invalid message does not have. */
export const titleOf = ({ type }: { readonly type: string }): string => type || "Invalid message";

/** Describes a selection: "all dead letters of payments with the type order.*". */
export const describe = ({ service, type }: Selection): string =>
	`all dead letters${service ? ` of ${service}` : " of all services"}${
		type ? ` with the type ${type}` : ""
	}`;

/** Result of a change: "2 events are retried. Without those of tax: it does not respond." */
export function resultOf(
	verb: "retried" | "discarded",
	{ count, unavailable }: { readonly count: number; readonly unavailable: readonly string[] },
): string {
	const changed = count === 1 ? `1 event is ${verb}.` : `${count} events are ${verb}.`;
	if (unavailable.length === 0) return changed;
	const subject = unavailable.length === 1 ? "it does" : "they do";
	return `${changed} Without those of ${unavailable.join(", ")}: ${subject} not respond.`;
}

const PAGES: Readonly<Record<string, string>> = {
	order: "/orders/",
	user: "/customers/",
	product: "/products/",
};
/** Path of the page about the subject of an event, if there is one. */
export function pageOfEvent(type: string, subject: string): string | undefined {
	const page = PAGES[type.split(".")[0]!];
	return page && UUID.test(subject) ? page + subject : undefined;
}

/** Invariants whose subject is a product; that of all others is an order. */
const OF_STOCK = new Set(["OVERSOLD", "RESERVED_MISMATCH"]);
/**
 * Path of the page about the subject of a violation. A payment that the provider has without an
 * order has none.
 */
export function pageOfViolation(invariant: string, subject: string): string | undefined {
	if (!UUID.test(subject)) return undefined;
	return OF_STOCK.has(invariant) ? `/products/${subject}` : `/orders/${subject}`;
}
