/** An order as a buyer was told of it, or as the database has it. */
export interface Placed {
	readonly id: string;
	readonly status: string;
}
/** What a shop's databases say about all orders since its past. */
export interface Books {
	/** Orders that stand: confirmed and what follows. */
	readonly confirmed: number;
	readonly cancelled: number;
	/** Neither. */
	readonly open: number;
	/** Pieces by product that stand in confirmed orders. */
	readonly sold: ReadonlyMap<string, number>;
	/** Pieces by product that the stock has given away. */
	readonly taken: ReadonlyMap<string, number>;
	/** Where there are payments, shipments and e-mails: how many of them, and how much money, next to what the orders come to. */
	readonly paid?: Readonly<Record<"payments" | "shipments" | "mails" | "amount" | "total", number>>;
}
/** What buyers were told in all. */
export interface Told {
	/** Answers that named an order which stands. */
	readonly confirmed: number;
	/** Requests that ended without an answer, with an error of the server, or with an order that was still open: may have become an order. */
	readonly unsure: number;
}

const STANDING = ["confirmed", "shipped", "delivered"];
const AT_MOST = 5;
/** The first few in full, the others by their number. */
const some = (violations: string[]): string[] =>
	violations.length > AT_MOST ? [...violations.slice(0, AT_MOST), `and ${violations.length - AT_MOST} more of this kind`] : violations;

/** Whether each order that a buyer was told of is in the database, once, and not worse than was said. */
export function judgeAnswers(told: readonly Placed[], stored: readonly Placed[]): string[] {
	const found = new Map(stored.map(({ id, status }) => [id, status]));
	const seen = new Set<string>();
	const wrong = told.flatMap(({ id, status }) => {
		const twice = seen.has(id);
		seen.add(id);
		if (twice) return [`order ${id} was the answer to two requests`];
		const now = found.get(id);
		if (!now) return [`order ${id} was answered with ${status} and is not stored`];
		return STANDING.includes(status) && !STANDING.includes(now) ? [`order ${id} was answered with ${status} and is ${now}`] : [];
	});
	return some(wrong);
}

/** Whether as many orders are stored as were answered, and whether stock and money went where the orders say. */
export function judgeBooks({ confirmed, unsure }: Told, books: Books): string[] {
	const surplus = books.confirmed - confirmed;
	const wrong: string[] = [];
	if (surplus < 0 || surplus > unsure)
		wrong.push(`${confirmed} orders were answered and ${unsure} requests left open, and ${books.confirmed} orders are stored`);
	if (books.open > 0) wrong.push(`${books.open} orders are still open`);
	const products = new Set([...books.sold.keys(), ...books.taken.keys()]);
	const stock = [...products].flatMap((id) => {
		const [sold, taken] = [books.sold.get(id) ?? 0, books.taken.get(id) ?? 0];
		return sold === taken ? [] : [`of product ${id} the orders have ${sold} and ${taken} left the stock`];
	});
	const { paid } = books;
	if (paid && (paid.payments !== books.confirmed || paid.amount !== paid.total))
		wrong.push(`${books.confirmed} orders come to ${paid.total}, and ${paid.payments} payments to ${paid.amount}`);
	if (paid && (paid.shipments !== books.confirmed || paid.mails !== books.confirmed))
		wrong.push(`${books.confirmed} orders have ${paid.shipments} shipments and ${paid.mails} e-mails`);
	return [...wrong, ...some(stock)];
}
