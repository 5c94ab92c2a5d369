import { contract } from "../../lib/contracts/contract.ts";
import { eventActions } from "../../lib/contracts/event-actions.ts";
import { command } from "../../lib/contracts/outcome.ts";
import { list, object, range, rawBody, shape } from "../../lib/contracts/schema.ts";
import { history } from "../../lib/messaging/event-history.ts";
import { MAX_DIGITS } from "../../lib/money/currency.ts";

const order_id = { order_id: { type: "uuid" } } as const;
const amount = { type: "money" } as const;
const currency = { type: "string", length: 3, example: "EUR" } as const;

export const payment = shape({
	id: { type: "uuid" },
	...order_id,
	user_id: { type: "uuid", nullable: true, description: "Null for the order of a guest" },
	amount,
	currency,
	/**
	 * `requires_action`: the buyer must confirm the payment. `processing`: a bank decides, which may
	 * take days. `authorized`: the capture is in progress. `voided`: released before the capture.
	 * `disputed`: the payer's bank has taken the amount back. `cancelled`: a tombstone, reversed
	 * before a charge was recorded; it rejects a late one.
	 */
	status: {
		type: "enum",
		values: [
			"requires_action",
			"processing",
			"authorized",
			"captured",
			"declined",
			"partially_refunded",
			"refunded",
			"disputed",
			"voided",
			"cancelled",
		],
	},
	/** Settled and unsettled refunds. */
	refunded_amount: amount,
	decline_code: { type: "string", nullable: true, description: "Code of the payment provider" },
	expires_at: {
		type: "time",
		nullable: true,
		description: "Time at which an unconfirmed payment is canceled",
	},
	authorized_at: { type: "time", nullable: true },
	captured_at: { type: "time", nullable: true },
	voided_at: { type: "time", nullable: true },
	created_at: { type: "time" },
	updated_at: { type: "time" },
});
export const refund = shape({
	id: { type: "uuid" },
	amount,
	reason: { type: "string", nullable: true },
	created_at: { type: "time" },
	settled_at: {
		type: "time",
		nullable: true,
		description: "Time at which the provider confirmed the refund; null until then",
	},
	failed_at: {
		type: "time",
		nullable: true,
		description: "Time at which the refund failed; its amount is refundable again",
	},
	failure_reason: { type: "string", nullable: true },
});
/** One entry of the append-only ledger of a payment. */
export const transaction = shape({
	type: {
		type: "enum",
		values: [
			"authorization",
			"capture",
			"void",
			"refund",
			"refund_failed",
			"dispute",
			"dispute_reversed",
		],
	},
	state: { type: "enum", values: ["requested", "succeeded", "failed"] },
	amount,
	reference: { type: "string", description: "ID of the object at the payment provider" },
	reason: { type: "string", nullable: true },
	at: { type: "time" },
});
export const paymentWithRefunds = shape({ ...payment, refunds: list(object(refund)) });
export const paymentDetails = shape({
	...paymentWithRefunds,
	reference: {
		type: "string",
		nullable: true,
		description: "ID of the payment at the payment provider; null if it is the order ID",
	},
	client_secret: {
		type: "string",
		nullable: true,
		description: "For the provider's library in the browser, while the status is requires_action",
	},
	redirect_url: {
		type: "string",
		nullable: true,
		description:
			"Page on which the buyer confirms the payment, while the status is requires_action",
	},
	transactions: list(object(transaction)),
});
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
		get: {
			summary: "Retrieve a payment with its refunds and transactions",
			rest: "GET /payments/:id",
			auth: "owner",
			params: { id: { type: "uuid" } },
			returns: object(paymentDetails),
			throws: ["PAYMENT_NOT_FOUND"],
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
					min: 1 / 10 ** MAX_DIGITS,
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
			user_id: { type: "uuid", nullable: true },
			amount,
			currency,
			payment_token: { type: "string", max: 100 },
		}),
		/**
		 * Voids authorizations and refunds captures. An order without a charge gets a tombstone, which
		 * rejects a late `charge`. Money that arrives afterwards is refunded. `user_id` and `currency`
		 * are needed to inform the buyer if there is only a tombstone.
		 */
		reverse: command("Reverse the charges of orders", {
			user_id: { type: "uuid", nullable: true, optional: true },
			currency: { ...currency, optional: true },
		}),
		/**
		 * Refunds parts of orders, each once by `refund_id`. `done`: the refund is recorded and takes
		 * place. Refuses it with NOT_REFUNDABLE if it exceeds the remaining amount, if the payment
		 * provider cannot refund exactly this amount, or if there is no payment.
		 */
		refundOrders: command("Refund parts of the payments of orders", {
			refund_id: { type: "uuid" },
			amount,
			reason: { type: "string", max: 500, nullable: true },
		}),
		/** Refunds that failed within the last 90 days and whose amount is still refundable. */
		failedRefunds: {
			summary: "List failed refunds whose amount was not refunded otherwise, newest first",
			params: { limit: { type: "number", integer: true, min: 1, max: 1000, default: 100 } },
			returns: list(
				object({
					id: { type: "uuid" },
					...order_id,
					payment_id: { type: "uuid" },
					amount,
					currency: { type: "string" },
					failed_at: { type: "time" },
					failure_reason: { type: "string", nullable: true },
				}),
			),
			retry: true,
		},
		webhook: {
			summary: "Receive a notification of the payment provider",
			rest: "POST /payments/webhooks/:provider",
			auth: "anyone",
			rawBody: true,
			repeatable: "the ID that the provider gives an event makes the event take effect once",
			bulkhead: { concurrency: 50, queue: 1000 },
			params: { provider: { type: "string", max: 40, example: "stripe" }, ...rawBody },
			returns: object({ received: { type: "boolean" } }),
			throws: ["INVALID_SIGNATURE", "PROVIDER_NOT_FOUND"],
		},
		/** Only with the simulated provider, for tests and demonstrations. */
		simulate: {
			summary: "Decide an open payment, refund or dispute in place of the buyer and the banks",
			params: {
				...order_id,
				result: { type: "enum", values: ["succeed", "fail", "dispute", "reverse_dispute"] },
			},
			returns: object({
				decided: { type: "boolean", description: "Whether there was something to decide" },
			}),
			throws: ["NOT_SIMULATED"],
		},
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
					failed_refunds: { type: "number", integer: true, optional: true },
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
		"payment.refunded": {
			...money_moved,
			late: {
				type: "boolean",
				optional: true,
				description: "The money arrived after the order had been cancelled",
			},
			user_id: {
				type: "uuid",
				optional: true,
				description: "The buyer, only if the money was late and the buyer is no guest",
			},
		},
		/** A refund failed after it was accepted; its amount is refundable again. */
		"payment.refund_failed": {
			...money_moved,
			reference: { type: "string" },
			reason: { type: "string", nullable: true },
		},
		"payment.voided": money_moved,
		/** The payer's bank has taken the amount back. */
		"payment.disputed": { ...money_moved, reason: { type: "string", nullable: true } },
		/** The payer's bank has returned a disputed amount. */
		"payment.dispute_reversed": money_moved,
		/** A payment that waited for the buyer or for a bank has another status. */
		"payment.updated": { ...order_id, payment_id: { type: "uuid" }, status: payment.status },
	},
	errors: {
		PAYMENT_NOT_FOUND: { status: 404, message: "Payment not found" },
		PAYMENT_DECLINED: { status: 402, message: "The payment was declined" },
		PROVIDER_NOT_FOUND: {
			status: 404,
			message: "This payment provider is not configured, or sends no webhooks",
		},
		NOT_SIMULATED: { status: 409, message: "The payment provider is not simulated" },
		INVALID_SIGNATURE: { status: 400, message: "The signature of the webhook is not valid" },
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
