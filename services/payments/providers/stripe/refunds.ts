import type Stripe from "stripe";
import { toStripeUnits } from "../../../../lib/money/stripe-units.ts";
import type { FoundRefund, RefundRequest, RefundResult } from "../provider.ts";
import type { Once } from "./attempts.ts";
import { ORDER_KEY } from "./creation.ts";
import { isDisputed, isReplayed } from "./errors.ts";
import { amountOf, hasFailed, REFUND_KEY } from "./record.ts";
import type { IntentRow } from "./statements.ts";

/** Maximum number of refunds of a payment; Stripe documents no limit. */
const MAX_REFUNDS = 1000;

/**
 * Creates refunds. A refund is looked up by its idempotency key in the metadata before it is
 * created, because Stripe forgets the key, and replays an old status for it.
 */
export function createRefunds({ sdk, once }: { readonly sdk: Stripe; readonly once: Once }) {
	const listOf = (intentId: string): Promise<Stripe.Refund[]> =>
		sdk.refunds
			.list({ payment_intent: intentId, limit: 100 })
			.autoPagingToArray({ limit: MAX_REFUNDS });

	async function find(intentId: string, key: string): Promise<Stripe.Refund | null> {
		const refunds = await listOf(intentId);
		return refunds.find(({ metadata }) => metadata?.[REFUND_KEY] === key) ?? null;
	}

	/** @throws if the amount exceeds the refundable amount, or for an inconclusive response */
	async function refund(
		{ key, amount }: RefundRequest,
		row: IntentRow | undefined,
	): Promise<RefundResult> {
		if (amount === 0) return { status: "succeeded", reference: key };
		if (!row?.intent_id) throw new Error("The payment to refund does not exist");
		const intentId = row.intent_id;
		const units = toStripeUnits(amount, row.currency!);
		if (units === undefined) return failure(key, "Stripe cannot refund exactly this amount");
		const params = {
			payment_intent: intentId,
			amount: units,
			metadata: { [REFUND_KEY]: key, [ORDER_KEY]: row.key },
		};
		try {
			const found =
				(await find(intentId, key)) ??
				(await once(
					`refund:${key}`,
					(options) => sdk.refunds.create(params, options),
					() => find(intentId, key),
					isReplayed,
				));
			return resultOf(found);
		} catch (error) {
			// The payer has the money already.
			if (isDisputed(error)) return failure(key, error.message);
			throw error;
		}
	}

	return {
		refund,
		listOf,
		async find(key: string, row: IntentRow | undefined): Promise<FoundRefund | null> {
			const found = row?.intent_id ? await find(row.intent_id, key) : null;
			return found && { ...resultOf(found), amount: amountOf(found.amount, found.currency) };
		},
	};
}

const failure = (reference: string, reason: string): RefundResult => ({
	status: "failed",
	reference,
	reason,
});

function resultOf(refund: Stripe.Refund): RefundResult {
	const { id: reference, status, failure_reason } = refund;
	if (hasFailed(refund)) return failure(reference, failure_reason ?? status!);
	return { status: status === "succeeded" ? "succeeded" : "pending", reference };
}
