export interface Line {
	readonly product_id: string;
	readonly quantity: number;
}
/** The product that an order could not be given, and the quantity that was available when its turn came. */
export interface Shortage {
	readonly product_id: string;
	readonly available: number;
}
export interface ReservationRequest {
	readonly order_id: string;
	readonly items: readonly Line[];
	readonly traceparent?: string;
}

/** The same product twice is one line with the sum. */
export function mergeLines(items: readonly Line[]): Line[] {
	const sums = new Map<string, number>();
	for (const { product_id, quantity } of items)
		sums.set(product_id, (sums.get(product_id) ?? 0) + quantity);
	return [...sums].map(([product_id, quantity]) => ({ product_id, quantity }));
}

/**
 * Gives out what is available, first come, first served: all lines of an order or none. An order that does not fit takes nothing and leaves
 * the rest to those behind it.
 * @param wishes lines merged
 * @param available by product; a product that is missing has none
 * @returns who gets what they wished for, and for every other order the product that was short with its available quantity
 */
export function allocate(
	wishes: readonly ReservationRequest[],
	available: ReadonlyMap<string, number>,
): { granted: ReservationRequest[]; short: Map<string, Shortage> } {
	const left = new Map(available);
	const granted: ReservationRequest[] = [];
	const short = new Map<string, Shortage>();
	for (const wish of wishes) {
		const missing = wish.items.find(
			({ product_id, quantity }) => quantity > (left.get(product_id) ?? 0),
		);
		if (missing) {
			const { product_id } = missing;
			short.set(wish.order_id, { product_id, available: left.get(product_id) ?? 0 });
			continue;
		}
		for (const { product_id, quantity } of wish.items)
			left.set(product_id, left.get(product_id)! - quantity);
		granted.push(wish);
	}
	return { granted, short };
}
