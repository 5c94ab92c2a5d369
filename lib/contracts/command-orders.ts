import type { Traced } from "../context/traceparent.ts";

/** An element of a set-based command, see `command` in outcome.ts. */
export interface CommandOrder extends Traced {
	readonly order_id: string;
}

/** Removes duplicates by order ID; the last entry of an order wins. */
export const distinctOrders = <O extends CommandOrder>(orders: readonly O[]): O[] => [
	...new Map(orders.map((order) => [order.order_id, order])).values(),
];

export const orderIds = (orders: readonly CommandOrder[]): string[] =>
	orders.map(({ order_id }) => order_id);

/** Indexes the rows of a statement by order ID. */
export const statusByOrder = <Status>(
	rows: readonly { readonly order_id: string; readonly status: Status }[],
): Map<string, Status> => new Map(rows.map(({ order_id, status }) => [order_id, status]));
