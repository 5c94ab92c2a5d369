import { settleWithin } from "../../lib/async/settle-within.ts";
import { type Traced, traceparentsOf } from "../../lib/context/traceparent.ts";
import { done, type Outcome, pending } from "../../lib/contracts/outcome.ts";
import { newId } from "../../lib/persistence/id.ts";
import { type Charges, columns } from "./payments.charges.ts";
import { type Dependencies, type Refunds, requestRefunds } from "./payments.refunds.ts";
import { left, next, type Payment, undoing } from "./payments.rules.ts";
import { BEGIN_REVERSAL, END_REVERSAL } from "./payments.statements.ts";
import type { ProviderResult } from "./providers/provider.ts";

/** `stale_key`: the reversal began so long ago that the provider may have forgotten the idempotency key of its payout. */
type Reversing = Payment & Traced & { reversal: "begun" | "done"; stale_key: boolean };
/** A payment, and how much of it is to be paid back. */
interface PayBack {
	readonly payment: Reversing;
	readonly amount: number;
}

/**
 * The undo of a charge: the row is marked (or a tombstone made); what was authorised is voided, what was captured paid back, and where
 * nothing is on record the provider is asked by voiding whatever there is; the end is recorded. The key of the void is the order's id, that
 * of the refund the payment's. Whatever crashes or overtakes between these steps, asking again is enough:
 * - marked, but not undone at the provider: a charge may still go through there, but finds the mark when it comes to be recorded, and is
 *   refused. The void then leaves it alone and tells of it, and it is paid back. The reversal is not done before that, so it is asked for again.
 * - undone, but not recorded: the same keys are answered as they were.
 */
export function createReversals(
	{ db, eventData, wakeRelay, logger, provider, patience }: Dependencies,
	refunds: Refunds,
	charges: Pick<Charges, "noteCaptures">,
) {
	/** The answers that came promptly. */
	async function heard<T>(
		payments: readonly Reversing[],
		answers: readonly Promise<T>[],
	): Promise<{ payment: Reversing; answer: T }[]> {
		const results = await settleWithin(answers, patience);
		return payments.flatMap((payment, i) => {
			const result = results[i];
			if (result?.status === "fulfilled") return [{ payment, answer: result.value }];
			const { order_id } = payment;
			logger.warn("The payment provider gave no answer to a reversal and has to be asked again", {
				order_id,
				error: result?.reason,
			});
			return [];
		});
	}

	/** Voids what can be voided; answers what that ended, and what turned out to be captured. */
	async function release(payments: readonly Reversing[]) {
		const answers = await heard(
			payments,
			provider.void(payments.map(({ order_id }) => ({ key: order_id, authorization: order_id }))),
		);
		const standing = new Map(payments.map((payment) => [payment.order_id, payment]));
		const late = answers.map(({ payment, answer }) => ({ order: payment, answer }));
		for (const { order_id, status } of await charges.noteCaptures(late, standing))
			standing.set(order_id, { ...standing.get(order_id)!, status });
		const now = answers.map(({ payment: { order_id }, answer }) => ({
			payment: standing.get(order_id)!,
			answer,
		}));
		return {
			ended: now.flatMap(({ payment, answer }) =>
				answer.status === "captured" ? [] : [voiding(payment)],
			),
			captured: now.flatMap(({ payment, answer }) =>
				answer.status === "captured" ? [toPayBack(payment, answer)] : [],
			),
		};
	}

	async function payBack(due: readonly PayBack[]) {
		const requests = due.map(({ payment: { id, order_id, stale_key }, amount }) => ({
			key: id,
			authorization: order_id,
			amount,
			stale_key,
		}));
		const paid = await heard(
			due.map(({ payment }) => payment),
			requestRefunds(provider, requests),
		);
		const amounts = new Map(due.map(({ payment, amount }) => [payment.id, amount]));
		return paid.map(({ payment }) => refunding(payment, amounts.get(payment.id)!));
	}

	/** How it ends where nothing was captured. What nobody was told of is over without a word as well. */
	function voiding({ id, order_id, amount, currency, status, traceparent }: Reversing) {
		if (status !== "authorized") return { id, status, type: null, event: null, paid_back: 0 };
		const event = eventData("payment.voided", { order_id, payment_id: id, amount, currency });
		return {
			id,
			status: next(status, "void"),
			type: "payment.voided",
			event,
			paid_back: 0,
			traceparent,
		};
	}
	function refunding({ id, order_id, currency, status, traceparent }: Reversing, amount: number) {
		if (undoing[status] !== "refund") return { id, status, type: null, event: null, paid_back: 0 };
		const event = eventData("payment.refunded", { order_id, payment_id: id, amount, currency });
		return {
			id,
			status: next(status, "refundRest"),
			type: "payment.refunded",
			event,
			paid_back: amount,
			traceparent,
		};
	}

	return {
		/**
		 * One outcome for each order; `pending` where the provider has not confirmed it yet.
		 * @param traces of the orders that have one
		 */
		async reverse(
			orderIds: readonly string[],
			traces: ReadonlyMap<string, string | undefined> = new Map(),
		): Promise<Outcome[]> {
			const wanted = [...new Set(orderIds)];
			const standing = await db.query<Reversing>(BEGIN_REVERSAL, [
				wanted.map(() => newId()),
				wanted,
				next("none", "bar"),
			]);
			const open = standing.flatMap((payment) =>
				payment.reversal === "begun"
					? [{ ...payment, traceparent: traces.get(payment.order_id) }]
					: [],
			);
			// All that is left goes back at once, so what was promised in part comes before it.
			const unsettled = new Set(
				(await refunds.settleOf(open.map(({ id }) => id))).map(({ payment_id }) => payment_id),
			);
			const ready = Map.groupBy(
				open.filter(({ id }) => !unsettled.has(id)),
				({ status }) => undoing[status],
			);
			const { ended, captured } = await release([
				...(ready.get("void") ?? []),
				...(ready.get("ask") ?? []),
			]);
			const paid = await payBack([
				...captured,
				...(ready.get("refund") ?? []).map((payment) => ({ payment, amount: left(payment) })),
			]);
			const over = [...(ready.get("nothing") ?? []).map(voiding), ...ended, ...paid];
			if (over.length > 0)
				await db.query(END_REVERSAL, [...columns(over, ENDED), traceparentsOf(over)]);
			wakeRelay();
			const closed = new Set(over.map(({ id }) => id));
			const rest = new Set(open.flatMap(({ id, order_id }) => (closed.has(id) ? [] : [order_id])));
			return orderIds.map((order_id) => (rest.has(order_id) ? pending : done));
		},
	};
}

/** What a payment is paid back of that turned out to be captured: all, for nobody could have refunded a part of it. */
const toPayBack = (
	payment: Reversing,
	{ amount }: Extract<ProviderResult, { status: "captured" }>,
): PayBack => ({ payment, amount });

/** The parameters of END_REVERSAL, in their order, but for the traces, which come last. */
const ENDED = ["id", "status", "type", "event", "paid_back"] as const;
