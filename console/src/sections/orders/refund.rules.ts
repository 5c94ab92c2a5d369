interface Line {
	readonly product_id: string;
	readonly quantity: number;
}
interface Refund {
	readonly status: string;
	readonly items: readonly Line[];
	readonly shipping_amount: number;
}
interface RefundedOrder {
	readonly items: readonly Line[];
	readonly shipping_amount: number;
	readonly refunds: readonly Refund[];
}
/** Pieces by product. */
export type Pieces = Readonly<Record<string, number>>;

/** Refunds of an order that count. */
const effective = ({ refunds }: Pick<RefundedOrder, "refunds">) =>
	refunds.filter(({ status }) => status !== "failed");

/** Pieces that can still be refunded. */
export const remainingPieces = (order: Pick<RefundedOrder, "items" | "refunds">): Pieces =>
	Object.fromEntries(
		order.items.map(({ product_id, quantity }) => {
			const refunded = effective(order)
				.flatMap((refund) => refund.items)
				.reduce((sum, item) => sum + (item.product_id === product_id ? item.quantity : 0), 0);
			return [product_id, quantity - refunded];
		}),
	);

/** Whether the shipping costs can still be refunded: they are refunded once. */
export const canRefundShipping = (order: Pick<RefundedOrder, "shipping_amount" | "refunds">) =>
	order.shipping_amount > 0 && !effective(order).some(({ shipping_amount }) => shipping_amount > 0);

/** Whether anything of an order can still be refunded. */
export const canRefund = (order: RefundedOrder): boolean =>
	canRefundShipping(order) || Object.values(remainingPieces(order)).some((pieces) => pieces > 0);

/** Half of the pieces in total, rounded down, spread over all products. */
export function halfOf(pieces: Pieces): Pieces {
	let before = 0;
	return Object.fromEntries(
		Object.entries(pieces).map(([product_id, quantity]) => {
			const half = Math.floor((before + quantity) / 2) - Math.floor(before / 2);
			before += quantity;
			return [product_id, half];
		}),
	);
}

export const nothingOf = (pieces: Pieces): Pieces =>
	Object.fromEntries(Object.keys(pieces).map((product_id) => [product_id, 0]));
