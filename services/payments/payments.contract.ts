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
	 * `authorized`: the capture is in progress. `voided`: released before the capture. `cancelled`: a
	 * tombstone, reversed before a charge was recorded; it rejects a late one.
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
	/** Settled and unsettled refunds. */
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
	settled_at: {
		type: "time",
		nullable: true,
		description: "Time at which the provider confirmed the refund; null until then",
	},
});
export const paymentWithRefunds = shape({ ...payment, refunds: list(object(refund)) });
const money_moved = shape({ ...order_id, payment_id: { type: "uuid" }, amount, currency });

export const payments = contract({
	name: "payments",
	actions: {
		...eventActions,
		list: {
			summary: "List the payments of an order",
			rest: "GET /payments",
			auth: "owner",
			params: order_id,
			returns: list(object(paymentWithRefunds)),
		},
		refund: {
			summary: "Refund a payment in part or in full",
			rest: "POST /payments/:id/refunds",
			auth: "admin",
			status: 201,
			idempotent: true,
			params: {
				id: { type: "uuid" },
				amount: {
					type: "money",
					min: 0.01,
					optional: true,
					description: "The remaining amount by default",
				},
				reason: { type: "string", max: 500, optional: true },
			},
			returns: object(paymentWithRefunds),
			throws: [
				"PAYMENT_NOT_FOUND",
				"NOT_REFUNDABLE",
				"IDEMPOTENCY_KEY_IN_USE",
				"IDEMPOTENCY_KEY_REUSED",
			],
		},
		/**
		 * Charges an order at most once. Refuses it with PAYMENT_DECLINED, or with REVERSED if it was
		 * reversed. `pending` if the provider did not respond in time: repeat the command.
		 */
		charge: command("Charge orders", {
			user_id: { type: "uuid" },
			amount,
			currency,
			payment_token: { type: "string", max: 100 },
		}),
		/**
		 * Voids authorizations and refunds captures. An order without a charge gets a tombstone, which
		 * rejects a late `charge`.
		 */
		reverse: command("Reverse the charges of orders", {}),
		/**
		 * For the audit: payments and tombstones in a range of order IDs. `unsettled` is the part of
		 * `refunded_amount` that the provider has not confirmed.
		 */
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
		/**
		 * For the audit: the provider's ledger in a range of keys, which are order IDs. `authorized` is
		 * the amount that is neither captured nor voided.
		 */
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
		/** Only if the capture did not follow immediately. */
		"payment.authorized": money_moved,
		"payment.captured": money_moved,
		"payment.declined": { ...order_id, reason: { type: "string" } },
		"payment.refunded": money_moved,
		"payment.voided": money_moved,
		/** A payment that waited for the buyer or for a bank has another status. */
		"payment.updated": { ...order_id, payment_id: { type: "uuid" }, status: payment.status },
	},
	errors: {
		PAYMENT_NOT_FOUND: { status: 404, message: "Payment not found" },
		PAYMENT_DECLINED: { status: 402, message: "The payment was declined" },
		NOT_REFUNDABLE: {
			status: 409,
			message: "The refund exceeds the remaining amount of the payment",
		},
	},
});

declare module "../../lib/contracts/contract.ts" {
	interface Contracts {
		payments: typeof payments;
	}
}
