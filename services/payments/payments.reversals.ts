import { settleWithin } from "../../lib/async/settle-within.ts";
import { type Traced, traceparentsOf } from "../../lib/context/traceparent.ts";
import { done, type Outcome, pending } from "../../lib/contracts/outcome.ts";
import { newId } from "../../lib/persistence/id.ts";
import type { Dependencies } from "./payments.dependencies.ts";
import { recordCaptures } from "./payments.recording.ts";
import { type Refunds, requestRefunds } from "./payments.refunds.ts";
import { nextStatus, type Payment, refundableAmount, reversalOf } from "./payments.rules.ts";
import { BEGIN_REVERSAL, columns, END_REVERSAL, REVERSAL_FIELDS } from "./payments.statements.ts";

/** `stale_key`: the provider may have forgotten the idempotency key of the payout. */
type ReversedPayment = Payment & Traced & { reversal: "begun" | "done"; stale_key: boolean };
/** The final state of a payment, as END_REVERSAL records it. */
interface EndedReversal extends Traced {
	readonly id: string;
	readonly status: Payment["status"];
	readonly type: "payment.voided" | "payment.refunded" | null;
	readonly event: string | null;
	readonly paid_back: number;
}
interface Payout {
	readonly payment: ReversedPayment;
	readonly amount: number;
}

/**
 * Reverses charges, the compensation of the saga's payment step. It marks the payment (or inserts a
 * tombstone), then voids an authorization or pays back a capture at the provider, then records the
 * end. Idempotency keys are the order ID for the void and the payment ID for the refund. After a
 * crash or a race with a charge, repeating the reversal is sufficient:
 * - Marked, but not reversed at the provider: a charge may still succeed there, but its record is
 *   refused because of the mark. The void then reports the capture, and it is paid back. The
 *   reversal is `pending` until then, so it is repeated.
 * - Reversed at the provider, but not recorded: the provider returns the same results again.
 */
export function createReversals(dependencies: Dependencies, refunds: Refunds) {
	const { db, eventData, wakeRelay, logger, provider, limits } = dependencies;

	/**
	 * Reverses the charges of orders and returns one outcome for each, `pending` if the provider has
	 * not confirmed it yet.
	 * @param traceparents by order ID
	 */
	async function reverse(
		orderIds: readonly string[],
		traceparents: ReadonlyMap<string, string | undefined> = new Map(),
	): Promise<Outcome[]> {
		const distinct = [...new Set(orderIds)];
		const payments = await db.query<ReversedPayment>(BEGIN_REVERSAL, [
			distinct.map(() => newId()),
			distinct,
			nextStatus("none", "block"),
		]);
		const open = payments.flatMap((payment) =>
			payment.reversal === "begun"
				? [{ ...payment, traceparent: traceparents.get(payment.order_id) }]
				: [],
		);
		// The payout covers the rest, so partial refunds have to be settled first.
		const unsettled = new Set(
			(await refunds.settleOf(open.map(({ id }) => id))).map(({ payment_id }) => payment_id),
		);
		const ready = Map.groupBy(
			open.filter(({ id }) => !unsettled.has(id)),
			({ status }) => reversalOf[status],
		);
		const { voided, captured } = await voidPayments([
			...(ready.get("void") ?? []),
			...(ready.get("voidOrRefund") ?? []),
		]);
		const refunded = await payBack([
			...captured,
			...(ready.get("refund") ?? []).map((payment) => ({
				payment,
				amount: refundableAmount(payment),
			})),
		]);
		const ended = [...(ready.get("nothing") ?? []).map(voidedRow), ...voided, ...refunded];
		if (ended.length > 0)
			await db.query(END_REVERSAL, [...columns(ended, REVERSAL_FIELDS), traceparentsOf(ended)]);
		wakeRelay();
		const endedIds = new Set(ended.map(({ id }) => id));
		const stillOpen = new Set(
			open.flatMap(({ id, order_id }) => (endedIds.has(id) ? [] : [order_id])),
		);
		return orderIds.map((order_id) => (stillOpen.has(order_id) ? pending : done));
	}

	/** Voids payments; returns the rows of those that ended, and payouts of captured ones. */
	async function voidPayments(payments: readonly ReversedPayment[]) {
		const requests = provider.void(
			payments.map(({ order_id }) => ({ key: order_id, authorization: order_id })),
		);
		const responses = await confirmed(payments, requests);
		const byOrder = new Map(payments.map((payment) => [payment.order_id, payment]));
		const captures = responses.map(({ payment, result }) => ({ order: payment, result }));
		for (const { order_id, status } of await recordCaptures(dependencies, captures, byOrder))
			byOrder.set(order_id, { ...byOrder.get(order_id)!, status });
		const current = responses.map(({ payment: { order_id }, result }) => ({
			payment: byOrder.get(order_id)!,
			result,
		}));
		return {
			voided: current.flatMap(({ payment, result }) =>
				result.status === "captured" ? [] : [voidedRow(payment)],
			),
			// The whole amount: a payment without a recorded capture has no refunds.
			captured: current.flatMap(({ payment, result }): Payout[] =>
				result.status === "captured" ? [{ payment, amount: result.amount }] : [],
			),
		};
	}

	async function payBack(payouts: readonly Payout[]) {
		const requests = payouts.map(({ payment: { id, order_id, stale_key }, amount }) => ({
			key: id,
			authorization: order_id,
			amount,
			stale_key,
		}));
		const payments = payouts.map(({ payment }) => payment);
		const responses = await confirmed(payments, requestRefunds(provider, requests));
		const amounts = new Map(payouts.map(({ payment, amount }) => [payment.id, amount]));
		return responses.map(({ payment }) => refundedRow(payment, amounts.get(payment.id)!));
	}

	/** The responses that arrived in time. */
	async function confirmed<T>(
		payments: readonly ReversedPayment[],
		requests: readonly Promise<T>[],
	): Promise<{ payment: ReversedPayment; result: T }[]> {
		const results = await settleWithin(requests, limits);
		return payments.flatMap((payment, i) => {
			const result = results[i];
			if (result?.status === "fulfilled") return [{ payment, result: result.value }];
			logger.warn("Payment provider did not confirm a reversal; will retry", {
				order_id: payment.order_id,
				error: result?.reason,
			});
			return [];
		});
	}

	/** The end of a reversal without a payout. Without an earlier event, it publishes none either. */
	function voidedRow(payment: ReversedPayment): EndedReversal {
		const { id, order_id, amount, currency, status, traceparent } = payment;
		if (status !== "authorized") return unchangedRow(payment);
		const event = eventData("payment.voided", { order_id, payment_id: id, amount, currency });
		const type = "payment.voided";
		return { id, status: nextStatus(status, "void"), type, event, paid_back: 0, traceparent };
	}

	/** The end of a reversal with a payout. */
	function refundedRow(payment: ReversedPayment, amount: number): EndedReversal {
		const { id, order_id, currency, status, traceparent } = payment;
		if (reversalOf[status] !== "refund") return unchangedRow(payment);
		const event = eventData("payment.refunded", { order_id, payment_id: id, amount, currency });
		const type = "payment.refunded";
		const next = nextStatus(status, "refundRest");
		return { id, status: next, type, event, paid_back: amount, traceparent };
	}

	return { reverse };
}

const unchangedRow = ({ id, status }: ReversedPayment): EndedReversal => ({
	id,
	status,
	type: null,
	event: null,
	paid_back: 0,
});
