interface Line {
	readonly product_id: string;
	readonly quantity: number;
}
interface RefundedOrder {
	readonly items: readonly Line[];
	readonly refunds: readonly { readonly status: string; readonly items: readonly Line[] }[];
}
/** Pieces by product. */
export type Pieces = Readonly<Record<string, number>>;

/** Pieces that can still be refunded. A failed refund does not count. */
export const remainingPieces = ({ items, refunds }: RefundedOrder): Pieces =>
	Object.fromEntries(
		items.map(({ product_id, quantity }) => {
			const refunded = refunds
				.filter(({ status }) => status !== "failed")
				.flatMap((refund) => refund.items)
				.reduce((sum, item) => sum + (item.product_id === product_id ? item.quantity : 0), 0);
			return [product_id, quantity - refunded];
		}),
	);

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
