import { type Traced, traced } from "../context/traceparent.ts";
import { type Infer, list, object, type Shape, shape } from "./schema.ts";

/**
 * Result of one order in a set-based command. `done`: the command took effect, now or earlier.
 * `refused`: conclusive failure without effect; repeating the command does not help. `pending`: not
 * decided yet; repeat the command. `waiting`: an external party decides, in minutes or days; an
 * event reports the decision, and the command is then repeated.
 */
const outcome = shape({
	status: { type: "enum", values: ["done", "refused", "pending", "waiting"] },
	code: { type: "string", optional: true, description: "Reason of the refusal" },
	detail: { type: "string", optional: true },
	data: { type: "any", optional: true, description: "Details of the refusal or the wait, by name" },
	deadline: {
		type: "time",
		optional: true,
		description: "Time at which a wait ends; without it, only an event ends the wait",
	},
});
export type Outcome = Infer<typeof outcome>;

export const done: Outcome = { status: "done" };
export const pending: Outcome = { status: "pending" };
/**
 * Outcome of a command that waits for the decision of an external party.
 * @param deadline end of the wait (RFC 3339); null if only an event ends it
 * @param data for the caller, such as an address at which the buyer confirms the payment
 */
export const waiting = (deadline: string | null, data?: object): Outcome => ({
	status: "waiting",
	...(deadline ? { deadline } : {}),
	...(data ? { data } : {}),
});
/**
 * Conclusive failure of an order.
 * @param code of an error, such as OUT_OF_STOCK
 * @param detail reason or ID that the code concerns
 * @param data of the error
 */
export const refused = (code: string, detail?: string, data?: object): Outcome => ({
	status: "refused",
	code,
	...(detail ? { detail } : {}),
	...(data ? { data } : {}),
});

/**
 * Contract of a set-based command between services. It accepts a list of orders, each with an
 * optional trace, and returns their outcomes in the same order.
 */
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

/** IDs of orders as an array parameter of a set-based statement. */
export const orderIds = (orders: readonly CommandOrder[]): string[] =>
	orders.map(({ order_id }) => order_id);

/** Indexes the rows of a statement by order ID. */
export const statusByOrder = <Status>(
	rows: readonly { readonly order_id: string; readonly status: Status }[],
): Map<string, Status> => new Map(rows.map(({ order_id, status }) => [order_id, status]));
