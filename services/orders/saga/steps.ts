import type { Traced } from "../../../lib/context/traceparent.ts";
import type { Call } from "../../../lib/contracts/contract.ts";
import { newId } from "../../../lib/persistence/id.ts";
import type { Saga, Step } from "../../../lib/saga/saga.ts";
import type {} from "../../inventory/inventory.contract.ts";
import type {} from "../../payments/payments.contract.ts";
import type {} from "../../shipping/shipping.contract.ts";
import type { Order } from "../orders.rules.ts";

/** The saga of an order, with the parameters of its steps and the trace to which they belong. */
export interface OrderSaga extends Saga, Traced {
	readonly order: Order;
	readonly payment_token: string;
	readonly shipping_address: string | null;
}

/** A new order at the start of its saga. */
export function newSaga(
	{
		user_id,
		payment_token,
		shipping_address,
		traceparent,
	}: Traced & { user_id: string; payment_token: string; shipping_address?: string },
	priced: Pick<Order, "items" | "total_amount" | "currency">,
	deadlineMs: number,
): OrderSaga {
	const now = new Date();
	const [id, created_at] = [newId(), now.toISOString()];
	return {
		id,
		direction: "forward",
		attempt: 1,
		deadline: now.getTime() + deadlineMs,
		order: {
			id,
			user_id,
			status: "pending",
			...priced,
			cancellation_reason: null,
			payment: null,
			created_at,
			updated_at: created_at,
		},
		payment_token,
		shipping_address: shipping_address ?? null,
		traceparent,
	};
}

/** JSON size of an order's IDs, amounts, payment token and trace. */
const ORDER_BYTES = 1000;
/** JSON size of a product ID and its quantity. */
const LINE_BYTES = 90;
/** JSON escapes a character in at most six bytes. */
const CHARACTER_BYTES = 6;
/** Upper limit of an order's bytes in the message of a step. */
export const bytesOf = ({ order, shipping_address }: OrderSaga): number =>
	ORDER_BYTES + order.items.length * LINE_BYTES + (shipping_address?.length ?? 0) * CHARACTER_BYTES;

const orderRef = ({ id, traceparent }: OrderSaga) => ({
	order_id: id,
	...(traceparent ? { traceparent } : {}),
});
const orderRefs = (sagas: readonly OrderSaga[]) => ({ orders: sagas.map(orderRef) });

/** The steps of placing an order, in order, each with its compensation. */
export const orderSteps = (call: Call): Step<OrderSaga>[] => [
	{
		name: "reserve",
		execute: (sagas) =>
			call("inventory.reserve", {
				orders: sagas.map((saga) => ({
					...orderRef(saga),
					items: saga.order.items.map(({ product_id, quantity }) => ({ product_id, quantity })),
				})),
			}),
		compensate: (sagas) => call("inventory.release", orderRefs(sagas)),
	},
	{
		name: "charge",
		expired: "PAYMENT_EXPIRED",
		execute: (sagas) =>
			call("payments.charge", {
				orders: sagas.map((saga) => ({
					...orderRef(saga),
					user_id: saga.order.user_id,
					amount: saga.order.total_amount,
					currency: saga.order.currency,
					payment_token: saga.payment_token,
				})),
			}),
		compensate: (sagas) =>
			call("payments.reverse", {
				orders: sagas.map((saga) => ({
					...orderRef(saga),
					user_id: saga.order.user_id,
					currency: saga.order.currency,
				})),
			}),
	},
	{
		name: "schedule",
		execute: (sagas) =>
			call("shipping.schedule", {
				orders: sagas.map((saga) => ({
					...orderRef(saga),
					user_id: saga.order.user_id,
					shipping_address: saga.shipping_address,
				})),
			}),
		compensate: (sagas) => call("shipping.unschedule", orderRefs(sagas)),
	},
];
