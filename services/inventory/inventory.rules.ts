import type { Traced } from "../../lib/context/traceparent.ts";

export interface Line {
	readonly product_id: string;
	readonly quantity: number;
}
/** The product that is out of stock for an order, and its quantity that was still available. */
interface Shortage {
	readonly product_id: string;
	readonly available: number;
}
export interface ReservationRequest extends Traced {
	readonly order_id: string;
	/** One line per product. */
	readonly items: readonly Line[];
}

/** Merges the lines of a product into one with their total quantity. */
export function mergeLines(items: readonly Line[]): Line[] {
	const sums = new Map<string, number>();
	for (const { product_id, quantity } of items)
		sums.set(product_id, (sums.get(product_id) ?? 0) + quantity);
	return [...sums].map(([product_id, quantity]) => ({ product_id, quantity }));
}

/**
 * Allocates stock in the order of the requests: all lines of an order or none. An order that does
 * not fit takes nothing, and the orders after it can still be granted.
 * @param available quantity by product; 0 for a missing product
 * @returns the granted requests, and the shortage of each other order by order ID
 */
export function allocate(
	requests: readonly ReservationRequest[],
	available: ReadonlyMap<string, number>,
): { granted: ReservationRequest[]; short: Map<string, Shortage> } {
	const remaining = new Map(available);
	const granted: ReservationRequest[] = [];
	const short = new Map<string, Shortage>();
	for (const request of requests) {
		const missing = request.items.find(
			({ product_id, quantity }) => quantity > (remaining.get(product_id) ?? 0),
		);
		if (missing) {
			const { product_id } = missing;
			short.set(request.order_id, { product_id, available: remaining.get(product_id) ?? 0 });
			continue;
		}
		for (const { product_id, quantity } of request.items)
			remaining.set(product_id, remaining.get(product_id)! - quantity);
		granted.push(request);
	}
	return { granted, short };
}
