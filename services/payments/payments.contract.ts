import { contract } from "../../lib/contracts/contract.ts";
import { eventActions } from "../../lib/contracts/event-actions.ts";
import { command } from "../../lib/contracts/outcome.ts";
import { list, object, range, shape } from "../../lib/contracts/schema.ts";
import { history } from "../../lib/messaging/event-history.ts";

const order_id = { order_id: { type: "uuid" } } as const;
const amount = { type: "money" } as const;
const currency = { type: "string", length: 3, example: "EUR" } as const;

export const payment = shape({
	id: { type: "uuid" },
	...order_id,
	user_id: { type: "uuid" },
	amount,
	currency,
	/**
	 * `authorized`: set aside for us, the capture is under way. `voided`: let go of before it was captured. `cancelled`: reversed before a
	 * charge was on record, so a late one is refused.
	 */
	status: {
		type: "enum",
		values: [
			"authorized",
			"captured",
			"declined",
			"partially_refunded",
			"refunded",
			"voided",
			"cancelled",
		],
	},
	/** What was paid back, or is on its way. */
	refunded_amount: amount,
	authorized_at: { type: "time", nullable: true },
	captured_at: { type: "time", nullable: true },
	voided_at: { type: "time", nullable: true },
	created_at: { type: "time" },
	updated_at: { type: "time" },
});
const refund = shape({
	id: { type: "uuid" },
	amount,
	reason: { type: "string", nullable: true },
	created_at: { type: "time" },
	settled_at: { type: "time", nullable: true, description: "When the provider had confirmed it" },
});
/** A payment as people see it. */
export const paymentSeen = shape({ ...payment, refunds: list(object(refund)) });
const money_moved = shape({ ...order_id, payment_id: { type: "uuid" }, amount, currency });

export const payments = contract({
	name: "payments",
	actions: {
		...eventActions,
		list: {
			summary: "Payments of an order",
			rest: "GET /payments",
			auth: "owner",
			params: order_id,
			returns: list(object(paymentSeen)),
		},
		refund: {
			summary: "Pay back a part, or all that is left",
			rest: "POST /payments/:id/refunds",
			auth: "admin",
			status: 201,
			idempotent: true,
			params: {
				id: { type: "uuid" },
				amount: { type: "money", min: 0.01, optional: true },
				reason: { type: "string", max: 500, optional: true },
			},
			returns: object(paymentSeen),
			throws: [
				"PAYMENT_NOT_FOUND",
				"NOT_REFUNDABLE",
				"IDEMPOTENCY_KEY_IN_USE",
				"IDEMPOTENCY_KEY_REUSED",
			],
		},
		/** At most once per order. Refuses with PAYMENT_DECLINED, or with REVERSED what was reversed. What does not answer promptly is `pending`: ask again. */
		charge: command("Charge orders", {
			user_id: { type: "uuid" },
			amount,
			currency,
			payment_token: { type: "string", max: 100 },
		}),
		/** Voids what was authorised, pays back what was captured; an order that was not charged leaves a tombstone, which refuses a late `charge`. */
		reverse: command("Undo the charges of orders", {}),
		/** For the audit: all payments and tombstones in a range of orders. `unsettled` is the part of `refunded_amount` that the provider may not have paid back yet. */
		auditPayments: {
			params: range,
			returns: list(
				object({
					...order_id,
					amount,
					status: payment.status,
					refunded_amount: amount,
					unsettled: amount,
				}),
			),
			retry: true,
			divide: { range: "order_id" },
		},
		/** For the audit: the provider's own books in a range of its keys, which are the ids of orders. `authorized` is what is set aside and neither captured nor voided. */
		auditCharges: {
			params: range,
			returns: list(
				object({ key: { type: "string" }, authorized: amount, charged: amount, refunded: amount }),
			),
			retry: true,
			divide: { range: "key" },
		},
		history,
	},
	events: {
		/** Only where the capture did not follow at once. */
		"payment.authorized": money_moved,
		"payment.captured": money_moved,
		"payment.declined": { ...order_id, reason: { type: "string" } },
		"payment.refunded": money_moved,
		"payment.voided": money_moved,
	},
	errors: {
		PAYMENT_NOT_FOUND: { status: 404, message: "Payment not found" },
		PAYMENT_DECLINED: { status: 402, message: "The payment was declined" },
		NOT_REFUNDABLE: { status: 409, message: "There is not that much left to refund" },
	},
});

declare module "../../lib/contracts/contract.ts" {
	interface Contracts {
		payments: typeof payments;
	}
}
