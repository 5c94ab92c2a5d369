/** Order as a response returned it, or as the database stores it. */
export interface OrderRecord {
	readonly id: string;
	readonly status: string;
}
/** State of a target's databases, for all orders that are newer than the seed history. */
export interface ShopState {
	/** Orders that are confirmed, shipped or delivered. */
	readonly confirmed: number;
	readonly cancelled: number;
	/** Orders that are neither confirmed nor cancelled. */
	readonly open: number;
	/** Quantity by product in confirmed orders. */
	readonly sold: ReadonlyMap<string, number>;
	/** Quantity by product that inventory has reserved. */
	readonly reserved: ReadonlyMap<string, number>;
	/**
	 * Numbers of captured payments, scheduled shipments and confirmation e-mails, the amount paid,
	 * and the total of the confirmed orders. Absent for a target without these services.
	 */
	readonly fulfillment?: Readonly<
		Record<"payments" | "shipments" | "mails" | "amount" | "total", number>
	>;
}
/** Responses to all order requests, counted by their meaning. */
interface ResponseCounts {
	/** Responses with a confirmed order. */
	readonly confirmed: number;
	/** No response, a 5xx status, or a pending order: an order may or may not exist. */
	readonly undetermined: number;
}

const CONFIRMED_STATUSES = ["confirmed", "shipped", "delivered"];
const MAX_REPORTED = 5;
/** Keeps the first few violations and counts the others. */
const truncate = (violations: string[]): string[] =>
	violations.length > MAX_REPORTED
		? [
				...violations.slice(0, MAX_REPORTED),
				`and ${violations.length - MAX_REPORTED} more of this kind`,
			]
		: violations;

/**
 * Checks that each returned order is stored, was returned once, and has not lost its confirmation.
 *
 * @returns violations
 */
export function checkResponses(
	returned: readonly OrderRecord[],
	stored: readonly OrderRecord[],
): string[] {
	const storedStatuses = new Map(stored.map(({ id, status }) => [id, status]));
	const seen = new Set<string>();
	const violations = returned.flatMap(({ id, status }) => {
		const duplicate = seen.has(id);
		seen.add(id);
		if (duplicate) return [`order ${id} was returned for two requests`];
		const storedStatus = storedStatuses.get(id);
		if (!storedStatus) return [`order ${id} was returned as ${status} but is not stored`];
		return CONFIRMED_STATUSES.includes(status) && !CONFIRMED_STATUSES.includes(storedStatus)
			? [`order ${id} was returned as ${status} but is ${storedStatus}`]
			: [];
	});
	return truncate(violations);
}

/**
 * Checks the stored orders against the responses, stock, payments, shipments and e-mails.
 *
 * @returns violations
 */
export function checkShopState(
	{ confirmed, undetermined }: ResponseCounts,
	state: ShopState,
): string[] {
	const surplus = state.confirmed - confirmed;
	const violations: string[] = [];
	if (surplus < 0 || surplus > undetermined)
		violations.push(
			`${state.confirmed} orders are stored, ` +
				`but ${confirmed} were returned and ${undetermined} responses are undetermined`,
		);
	if (state.open > 0) violations.push(`${state.open} orders are still open`);
	const products = new Set([...state.sold.keys(), ...state.reserved.keys()]);
	const stock = [...products].flatMap((id) => {
		const [sold, reserved] = [state.sold.get(id) ?? 0, state.reserved.get(id) ?? 0];
		return sold === reserved
			? []
			: [`product ${id}: ${sold} sold in orders, but ${reserved} reserved in stock`];
	});
	const { fulfillment } = state;
	if (
		fulfillment &&
		(fulfillment.payments !== state.confirmed || fulfillment.amount !== fulfillment.total)
	)
		violations.push(
			`${state.confirmed} orders total ${fulfillment.total}, ` +
				`but ${fulfillment.payments} payments total ${fulfillment.amount}`,
		);
	if (
		fulfillment &&
		(fulfillment.shipments !== state.confirmed || fulfillment.mails !== state.confirmed)
	)
		violations.push(
			`${state.confirmed} orders have ${fulfillment.shipments} shipments ` +
				`and ${fulfillment.mails} e-mails`,
		);
	return [...violations, ...truncate(stock)];
}
