import { contractError, throwError } from "../../lib/contracts/contract.ts";
import { commonError, invalidField } from "../../lib/contracts/errors.ts";
import type { Infer } from "../../lib/contracts/schema.ts";
import { MONEY_MAX, scaleOf } from "../../lib/money/currency.ts";
import { isOrderToken } from "../../lib/security/order-token.ts";
import type { order, pendingPayment, pricedOrder } from "./orders.contract.shapes.ts";
import { orders } from "./orders.contract.ts";

export type Order = Infer<typeof order>;
/** An order with the prices of a cart. */
export type PricedOrder = Infer<typeof pricedOrder>;
export type PendingPayment = Infer<typeof pendingPayment>;
export type Line = Order["items"][number];
export type Status = Order["status"];
export interface OrderItem {
	readonly product_id: string;
	readonly quantity: number;
}
/** The fields of a product that pricing requires. */
export interface Product {
	readonly id: string;
	readonly name: string;
	readonly price: number;
	readonly currency: string;
	/** Undefined if the node of the products service is of an older version. */
	readonly variant_count?: number;
	readonly category?: string;
	readonly parent_id?: string | null;
	readonly attributes?: { readonly [name: string]: unknown };
}
export type Caller = { readonly id: string; readonly role: "user" | "admin" };

/** All allowed transitions. */
export const transitions: Readonly<Record<Status, readonly Status[]>> = {
	pending: ["confirmed", "cancelled"],
	confirmed: ["shipped", "cancelled"],
	shipped: ["delivered"],
	delivered: [],
	cancelled: [],
};
/** All statuses from which an order can still reach this one. */
export function statusesBefore(status: Status): Status[] {
	const direct = (Object.keys(transitions) as Status[]).filter((from) =>
		transitions[from].includes(status),
	);
	return [...new Set(direct.flatMap((from) => [...statusesBefore(from), from]))];
}
/** @throws ILLEGAL_TRANSITION, with the current status, unless `transitions` allows the change */
export function assertCanBecome(current: Status, next: Status): void {
	if (!transitions[current].includes(next))
		throwError(
			orders,
			"ILLEGAL_TRANSITION",
			{ status: current },
			`An order that is ${current} cannot become ${next}`,
		);
}

/** @throws ILLEGAL_TRANSITION unless the order has been paid */
export function assertCanRefund(status: Status): void {
	if (status === "pending" || status === "cancelled")
		throwError(
			orders,
			"ILLEGAL_TRANSITION",
			{ status },
			`An order that is ${status} has no payment`,
		);
}

/**
 * ID of the user for whom the caller orders: the caller, or any user if the caller is an admin.
 * @throws FORBIDDEN
 */
export function buyerOf(caller: Caller, user_id = caller.id): string {
	if (user_id !== caller.id && caller.role !== "admin") throw commonError("FORBIDDEN");
	return user_id;
}
/** @throws VALIDATION_ERROR unless `to` is after `from` */
export function assertTimeRange(from: string | undefined, to: string | undefined): void {
	if (from !== undefined && to !== undefined && Date.parse(to) <= Date.parse(from))
		throw invalidField("to", "TIME_RANGE", "Enter a time after `from`");
}
/** Credentials of a request to read an order. */
export interface Reader {
	readonly user?: Caller | null;
	/** Token of the order, for guests. */
	readonly token?: string;
}
/**
 * Whether a caller may read an order: its buyer, an admin, or a guest with the order's token.
 * @param secrets from which valid tokens may have been derived
 * @throws UNAUTHENTICATED without credentials; ORDER_NOT_FOUND if they do not match, so that the
 *   existence of the order is not disclosed
 */
export function assertReadable<O extends { id: string; user_id: string | null }>(
	found: O | undefined,
	{ user, token }: Reader,
	secrets: readonly string[],
): asserts found is O {
	if (!user && token === undefined) throw commonError("UNAUTHENTICATED");
	if (found && token !== undefined && isOrderToken(secrets, found.id, token)) return;
	if (!user) throwError(orders, "ORDER_NOT_FOUND");
	assertVisible(found, user);
}
/** @throws ORDER_NOT_FOUND also for another user's order, so that its existence is not disclosed */
export function assertVisible<O extends { user_id: string | null }>(
	found: O | undefined,
	caller: Caller,
): asserts found is O {
	if (!found || !maySeeAccount(found, caller)) throwError(orders, "ORDER_NOT_FOUND");
}
/**
 * Whether a caller may see the account to which an order belongs: its buyer, or an admin. The order
 * of a guest can join an account, about which the order's token discloses nothing.
 */
export const maySeeAccount = (
	{ user_id }: { readonly user_id: string | null },
	caller: Reader["user"],
): boolean => !!caller && (user_id === caller.id || caller.role === "admin");

const MAX_QUANTITY = orders.actions.create.params.items.items.props.quantity.max;

/**
 * Merges the items of each product into one, at the position of the first.
 * @throws VALIDATION_ERROR if the total quantity of a product exceeds the limit of one item
 */
export function mergeItems(items: readonly OrderItem[]): OrderItem[] {
	const merged = new Map<string, number>();
	for (const [i, { product_id, quantity }] of items.entries()) {
		const sum = (merged.get(product_id) ?? 0) + quantity;
		if (sum > MAX_QUANTITY) {
			throw invalidField(
				`items[${i}].quantity`,
				"NUMBER_MAX",
				`An order can contain at most ${MAX_QUANTITY} units of one product, in all items together`,
			);
		}
		merged.set(product_id, sum);
	}
	return [...merged].map(([product_id, quantity]) => ({ product_id, quantity }));
}

/**
 * The lines and the total of an order, at the given prices. Amounts are added in minor units. A
 * price with more decimals than its currency has is rounded, as it is displayed.
 * @param catalogue the product of each item; null if it does not exist
 * @throws PRODUCT_NOT_FOUND, MIXED_CURRENCIES, CHOOSE_VARIANT, ORDER_TOO_LARGE
 */
export function priceItems(items: readonly OrderItem[], catalogue: readonly (Product | null)[]) {
	const missing = items.filter((_, i) => !catalogue[i]);
	if (missing.length > 0)
		throwError(orders, "PRODUCT_NOT_FOUND", {
			product_ids: missing.map(({ product_id }) => product_id),
		});
	const products = catalogue as readonly Product[];
	const currency = products[0]!.currency;
	if (products.some((product) => product.currency !== currency))
		throwError(orders, "MIXED_CURRENCIES");
	const scale = scaleOf(currency);
	let total = 0;
	const lines = items.map(({ product_id, quantity }, i) => {
		const { name, price, variant_count } = products[i]!;
		if (variant_count) throwError(orders, "CHOOSE_VARIANT", { product_id });
		const minor = Math.round(price * scale);
		total += minor * quantity;
		return {
			product_id,
			name,
			quantity,
			unit_price: minor / scale,
			line_total: (minor * quantity) / scale,
		};
	});
	const total_amount = total / scale;
	if (total_amount > MONEY_MAX) throwError(orders, "ORDER_TOO_LARGE");
	return { items: lines, total_amount, currency };
}

/**
 * The reason why a saga was compensated: a code or text, and details from the step that refused.
 */
interface Cancellation {
	readonly reason: string;
	readonly detail?: string;
	readonly data?: unknown;
}
/** Error response for an order that its saga has cancelled. */
export function cancelledError(
	{ id, items }: CancelledOrder,
	{ reason, detail, data }: Cancellation,
): Error {
	// The reason may be free text, for instance "constructor".
	const code = Object.hasOwn(orders.errors, reason)
		? (reason as keyof typeof orders.errors)
		: "ORDER_CANCELLED";
	const { message, ...details } = explain(code, items, data);
	return contractError(
		orders,
		code,
		{ order_id: id, reason: detail ?? reason, ...details },
		message,
	);
}
/** Message and data of an error, from the data of the step that refused. */
function explain(code: string, items: CancelledOrder["items"], data: unknown): Explanation {
	if (code === "OUT_OF_STOCK") return shortageOf(items, data);
	if (code !== "COUPON_USED_UP") return {};
	const { promotion_id, code: coupon_code = null } = (data ?? {}) as {
		promotion_id?: string;
		code?: string | null;
	};
	return promotion_id ? { promotion_id, coupon_code } : {};
}
interface Explanation {
	readonly message?: string;
	readonly [member: string]: unknown;
}
interface CancelledOrder {
	readonly id: string;
	readonly items: readonly Pick<Line, "product_id" | "name" | "quantity">[];
}
/**
 * The line that could not be reserved and the available quantity. Empty if the refusing node runs
 * an older version, which reports neither.
 */
function shortageOf(items: CancelledOrder["items"], data: unknown): Explanation {
	const { product_id, available } = (data ?? {}) as { product_id?: string; available?: number };
	const line = items.find((candidate) => candidate.product_id === product_id);
	if (!line || available === undefined) return {};
	const { name, quantity } = line;
	const message = `Not enough stock of "${name}": ${quantity} ordered, ${available} available`;
	return { message, product_id: line.product_id, name, available };
}
