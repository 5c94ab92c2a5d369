import { contractError, throwError } from "../../lib/contracts/contract.ts";
import { commonError, invalidField } from "../../lib/contracts/errors.ts";
import type { Infer } from "../../lib/contracts/schema.ts";
import { type order, orders } from "./orders.contract.ts";

export type Order = Infer<typeof order>;
export type Line = Order["items"][number];
export type Status = Order["status"];
export interface OrderItem {
	readonly product_id: string;
	readonly quantity: number;
}
/** What an order needs to know of a product. */
export interface Product {
	readonly id: string;
	readonly name: string;
	readonly price: number;
	readonly currency: string;
}
type Caller = { readonly id: string; readonly role: "user" | "admin" };

/** Every way that a status may go; nothing else. */
export const transitions: Readonly<Record<Status, readonly Status[]>> = {
	pending: ["confirmed", "cancelled"],
	confirmed: ["shipped", "cancelled"],
	shipped: ["delivered"],
	delivered: [],
	cancelled: [],
};
/** Every status from which an order can still reach this one. */
export function statusesBefore(status: Status): Status[] {
	const direct = (Object.keys(transitions) as Status[]).filter((from) =>
		transitions[from].includes(status),
	);
	return [...new Set(direct.flatMap((from) => [...statusesBefore(from), from]))];
}
export function assertCanBecome(current: Status, next: Status): void {
	if (!transitions[current].includes(next))
		throwError(
			orders,
			"ILLEGAL_TRANSITION",
			{ status: current },
			`An order that is ${current} cannot become ${next}`,
		);
}

/** Whom the order is for: the caller, unless an admin orders for somebody. */
export function buyerOf(caller: Caller, user_id = caller.id): string {
	if (user_id !== caller.id && caller.role !== "admin") throw commonError("FORBIDDEN");
	return user_id;
}
/** Somebody else's order does not exist, as far as they can see. */
export function assertVisible<O extends { user_id: string }>(
	found: O | undefined,
	caller: Caller,
): asserts found is O {
	if (!found || (found.user_id !== caller.id && caller.role !== "admin"))
		throwError(orders, "ORDER_NOT_FOUND");
}

const MAX_QUANTITY = orders.actions.create.params.items.items.props.quantity.max;

/**
 * One line per product, at the place of its first one.
 * @throws VALIDATION_ERROR for more of one product than a single line may have
 */
export function mergeItems(items: readonly OrderItem[]): OrderItem[] {
	const merged = new Map<string, number>();
	for (const [i, { product_id, quantity }] of items.entries()) {
		const sum = (merged.get(product_id) ?? 0) + quantity;
		if (sum > MAX_QUANTITY) {
			throw invalidField(
				`items[${i}].quantity`,
				"NUMBER_MAX",
				`An order has at most ${MAX_QUANTITY} of one product, in all of its lines`,
			);
		}
		merged.set(product_id, sum);
	}
	return [...merged].map(([product_id, quantity]) => ({ product_id, quantity }));
}

const cents = (amount: number) => Math.round(amount * 100);

/** The order's lines and sums at the catalogue's prices of this moment, summed in cents. */
export function priceItems(items: readonly OrderItem[], catalogue: readonly (Product | null)[]) {
	const missing = items.filter((_, i) => !catalogue[i]);
	if (missing.length > 0) {
		const ids = missing.map(({ product_id }) => product_id);
		throw productNotFound(ids);
	}
	const products = catalogue as readonly Product[];
	const currency = products[0]!.currency;
	if (products.some((product) => product.currency !== currency))
		throwError(orders, "MIXED_CURRENCIES");
	const lines: Line[] = items.map(({ product_id, quantity }, i) => {
		const { name, price } = products[i]!;
		return {
			product_id,
			name,
			quantity,
			unit_price: price,
			line_total: (cents(price) * quantity) / 100,
		};
	});
	const total_amount = lines.reduce((sum, { line_total }) => sum + cents(line_total), 0) / 100;
	if (total_amount > 9_999_999_999.99) throwError(orders, "ORDER_TOO_LARGE");
	return { items: lines, total_amount, currency };
}
const productNotFound = (product_ids: string[]) =>
	contractError(orders, "PRODUCT_NOT_FOUND", { product_ids });

/** Why a saga was compensated: a code, and what the step that refused said beyond it. */
interface Cancellation {
	readonly reason: string;
	readonly detail?: string;
	readonly data?: unknown;
}
/** The error for a client whose order was cancelled by its saga. */
export function cancelledError(
	{ id, items }: Pick<Order, "id" | "items">,
	{ reason, detail, data }: Cancellation,
): Error {
	// The reason may be free text, "constructor" for instance.
	const code = Object.hasOwn(orders.errors, reason)
		? (reason as keyof typeof orders.errors)
		: "ORDER_CANCELLED";
	const { message, ...shortage } = code === "OUT_OF_STOCK" ? shortageOf(items, data) : {};
	return contractError(
		orders,
		code,
		{ order_id: id, reason: detail ?? reason, ...shortage },
		message,
	);
}
/** The line that could not be reserved and the quantity that was available; nothing when a node of an older version refused it. */
function shortageOf(
	items: readonly Line[],
	data: unknown,
): { message?: string; product_id?: string; name?: string; available?: number } {
	const { product_id, available } = (data ?? {}) as { product_id?: string; available?: number };
	const line = items.find((one) => one.product_id === product_id);
	if (!line || available === undefined) return {};
	const { name, quantity } = line;
	const message = `Not enough stock of "${name}": ${quantity} ordered, ${available} available`;
	return { message, product_id: line.product_id, name, available };
}
