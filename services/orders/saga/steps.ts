import type { Traced } from "../../../lib/context/traceparent.ts";
import type { Call } from "../../../lib/contracts/contract.ts";
import type { Outcome } from "../../../lib/contracts/outcome.ts";
import { newId } from "../../../lib/persistence/id.ts";
import { customerOf } from "../../../lib/pricing/sources.ts";
import type { Saga, Step } from "../../../lib/saga/saga.ts";
import type {} from "../../inventory/inventory.contract.ts";
import type {} from "../../payments/payments.contract.ts";
import type {} from "../../promotions/promotions.contract.ts";
import type {} from "../../shipping/shipping.contract.ts";
import type {
	OrderDetails,
	StoredLine,
	StoredOrder,
	StoredPrices,
} from "../orders.prices.rules.ts";

/** The saga of an order, with the parameters of its steps and the trace to which they belong. */
export interface OrderSaga extends Saga, Traced, OrderDetails {
	readonly order: StoredOrder;
	readonly payment_token: string;
}
/** A valid order, with its prices, before its saga. */
export interface NewOrder extends Traced {
	/** Generated unless given. */
	readonly id?: string;
	readonly user_id: string | null;
	readonly items: readonly StoredLine[];
	readonly total_amount: number;
	readonly currency: string;
	readonly priced: StoredPrices | null;
	readonly payment_token: string;
	/** The address as text. */
	readonly shipping_address: string | null;
}

/** A new order at the start of its saga. */
export function newSaga(
	{ id = newId(), user_id, items, total_amount, currency, priced, ...request }: NewOrder,
	deadlineMs: number,
): OrderSaga {
	const now = new Date();
	const created_at = now.toISOString();
	return {
		id,
		direction: "forward",
		attempt: 1,
		deadline: now.getTime() + deadlineMs,
		order: {
			id,
			user_id,
			email: priced?.email ?? null,
			status: "pending",
			items,
			total_amount,
			currency,
			cancellation_reason: null,
			payment: null,
			created_at,
			updated_at: created_at,
		},
		priced,
		payment_token: request.payment_token,
		shipping_address: request.shipping_address,
		traceparent: request.traceparent,
	};
}

/** JSON size of an order's IDs, amounts, payment token and trace. */
const ORDER_BYTES = 1000;
/** JSON size of a product ID and its quantity, or of a promotion's ID and its amount. */
const LINE_BYTES = 90;
/** JSON escapes a character in at most six bytes. */
const CHARACTER_BYTES = 6;
/** Upper limit of an order's bytes in the message of a step. */
export const bytesOf = ({ order, priced, shipping_address }: OrderSaga): number =>
	ORDER_BYTES +
	Math.max(order.items.length, priced?.adjustments.length ?? 0) * LINE_BYTES +
	((shipping_address?.length ?? 0) + (order.email?.length ?? 0)) * CHARACTER_BYTES;

const orderRef = ({ id, traceparent }: OrderSaga) => ({
	order_id: id,
	...(traceparent ? { traceparent } : {}),
});
const orderRefs = (sagas: readonly OrderSaga[]) => ({ orders: sagas.map(orderRef) });

/** The orders' name for the refusal of a promotion. */
const withCouponCode = (outcome: Outcome): Outcome =>
	outcome.code === "USED_UP" ? { ...outcome, code: "COUPON_USED_UP" } : outcome;

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
		name: "redeem",
		applies: ({ priced }) => priced !== null && priced.adjustments.length > 0,
		async execute(sagas) {
			const outcomes = await call("promotions.redeem", {
				orders: sagas.map((saga) => ({
					...orderRef(saga),
					customer: customerOf(saga.order)!,
					uses: saga.priced!.adjustments.map(({ promotion_id, amount }) => ({
						promotion_id,
						amount,
					})),
				})),
			});
			return outcomes.map(withCouponCode);
		},
		compensate: (sagas) => call("promotions.release", orderRefs(sagas)),
	},
	{
		name: "charge",
		applies: ({ order }) => order.total_amount > 0,
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
