import { type Traced, traced } from "../context/traceparent.ts";
import { type Infer, list, object, type Shape, shape } from "./schema.ts";

/**
 * How one order fared in a set-based command. `done`: it holds, now or already before. `refused`: no, and asking again will not help; nothing
 * is held. `pending`: not known yet; ask again.
 */
export const outcome = shape({
	status: { type: "enum", values: ["done", "refused", "pending"] },
	code: { type: "string", optional: true, description: "Why it was refused" },
	detail: { type: "string", optional: true },
	data: { type: "any", optional: true, description: "Facts about a refusal, by name" },
});
export type Outcome = Infer<typeof outcome>;

export const done: Outcome = { status: "done" };
export const pending: Outcome = { status: "pending" };
export const refused = (code: string, detail?: string, data?: object): Outcome => ({
	status: "refused",
	code,
	...(detail ? { detail } : {}),
	...(data ? { data } : {}),
});

/** A set-based command between services: a list of orders in, each perhaps with its trace, an outcome for each in the same order out. One order is a
 * list of one. */
export const command = <const S extends Shape>(summary: string, order: S) =>
	({
		summary,
		params: {
			orders: list(object({ order_id: { type: "uuid" }, ...order, ...traced } as const), {
				min: 1,
				max: 1000,
			}),
		},
		returns: list(object(outcome)),
	}) as const;

/** An element of a set-based command, see {@link command}. */
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
