/** An order as a buyer was told of it, or as the database has it. */
export interface OrderRecord {
	readonly id: string;
	readonly status: string;
}
/** What a shop's databases say about all orders since its past. */
export interface ShopState {
	/** Orders that stand: confirmed and what follows. */
	readonly confirmed: number;
	readonly cancelled: number;
	/** Neither. */
	readonly open: number;
	/** Pieces by product that stand in confirmed orders. */
	readonly sold: ReadonlyMap<string, number>;
	/** Pieces by product that the stock has given away. */
	readonly reserved: ReadonlyMap<string, number>;
	/** Where there are payments, shipments and e-mails: how many of them, and how much money, next to what the orders come to. */
	readonly fulfillment?: Readonly<Record<"payments" | "shipments" | "mails" | "amount" | "total", number>>;
}
/** What buyers were told in all. */
export interface ResponseCounts {
	/** Answers that named an order which stands. */
	readonly confirmed: number;
	/** Requests that ended without an answer, with an error of the server, or with an order that was still open: may have become an order. */
	readonly undetermined: number;
}

const CONFIRMED_STATUSES = ["confirmed", "shipped", "delivered"];
const MAX_REPORTED = 5;
/** The first few in full, the others by their number. */
const truncate = (violations: string[]): string[] =>
	violations.length > MAX_REPORTED
		? [...violations.slice(0, MAX_REPORTED), `and ${violations.length - MAX_REPORTED} more of this kind`]
		: violations;

/** Whether each order that a buyer was told of is in the database, once, and not worse than was said. */
export function checkResponses(told: readonly OrderRecord[], stored: readonly OrderRecord[]): string[] {
	const found = new Map(stored.map(({ id, status }) => [id, status]));
	const seen = new Set<string>();
	const wrong = told.flatMap(({ id, status }) => {
		const twice = seen.has(id);
		seen.add(id);
		if (twice) return [`order ${id} was the answer to two requests`];
		const now = found.get(id);
		if (!now) return [`order ${id} was answered with ${status} and is not stored`];
		return CONFIRMED_STATUSES.includes(status) && !CONFIRMED_STATUSES.includes(now)
			? [`order ${id} was answered with ${status} and is ${now}`]
			: [];
	});
	return truncate(wrong);
}

/** Whether as many orders are stored as were answered, and whether stock and money went where the orders say. */
export function checkShopState({ confirmed, undetermined }: ResponseCounts, books: ShopState): string[] {
	const surplus = books.confirmed - confirmed;
	const wrong: string[] = [];
	if (surplus < 0 || surplus > undetermined)
		wrong.push(`${confirmed} orders were answered and ${undetermined} requests left open, and ${books.confirmed} orders are stored`);
	if (books.open > 0) wrong.push(`${books.open} orders are still open`);
	const products = new Set([...books.sold.keys(), ...books.reserved.keys()]);
	const stock = [...products].flatMap((id) => {
		const [sold, taken] = [books.sold.get(id) ?? 0, books.reserved.get(id) ?? 0];
		return sold === taken ? [] : [`of product ${id} the orders have ${sold} and ${taken} left the stock`];
	});
	const { fulfillment } = books;
	if (fulfillment && (fulfillment.payments !== books.confirmed || fulfillment.amount !== fulfillment.total))
		wrong.push(`${books.confirmed} orders come to ${fulfillment.total}, and ${fulfillment.payments} payments to ${fulfillment.amount}`);
	if (fulfillment && (fulfillment.shipments !== books.confirmed || fulfillment.mails !== books.confirmed))
		wrong.push(`${books.confirmed} orders have ${fulfillment.shipments} shipments and ${fulfillment.mails} e-mails`);
	return [...wrong, ...truncate(stock)];
}
