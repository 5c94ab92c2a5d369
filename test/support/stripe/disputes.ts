import { rejected } from "./errors.ts";
import type { Charge, Dispute, EventType } from "./objects.ts";

/** Pure functions over disputes, https://docs.stripe.com/disputes. */

const DAY_SECONDS = 86_400;
const RESPONSE_DAYS = 9;
const CLOSED = ["won", "lost"];

interface NewDispute {
	readonly id: string;
	/** Seconds since 1970. */
	readonly now: number;
	readonly charge: Charge;
	/** Minor units. */
	readonly amount: number;
	readonly reason: string;
}

/** Opens a dispute: the bank takes the money back until the decision. @throws ApiError */
export function openDispute({ id, now, charge, amount, reason }: NewDispute): {
	dispute: Dispute;
	events: readonly EventType[];
} {
	if (charge.status !== "succeeded" || !charge.captured)
		throw rejected(`Charge ${charge.id} is not captured and cannot be disputed.`);
	if (charge.disputed) throw rejected(`Charge ${charge.id} is already disputed.`);
	if (amount > charge.amount_captured)
		throw rejected(`Disputed amount ${amount} exceeds the captured ${charge.amount_captured}.`);
	const dispute: Dispute = {
		id,
		object: "dispute",
		amount,
		balance_transactions: [],
		charge: charge.id,
		created: now,
		currency: charge.currency,
		enhanced_eligibility_types: [],
		evidence: {} as Dispute["evidence"],
		evidence_details: {
			due_by: now + RESPONSE_DAYS * DAY_SECONDS,
			enhanced_eligibility: {},
			has_evidence: false,
			past_due: false,
			submission_count: 0,
		} as Dispute["evidence_details"],
		intended_submission_method: null,
		is_charge_refundable: false,
		livemode: false,
		metadata: {},
		payment_intent: charge.payment_intent,
		reason,
		status: "needs_response",
	};
	return { dispute, events: ["charge.dispute.created", "charge.dispute.funds_withdrawn"] };
}

/** The bank's decision. A won dispute returns the money. @throws ApiError if it is closed */
export function closeDispute(
	dispute: Dispute,
	status: "won" | "lost",
): { dispute: Dispute; events: readonly EventType[] } {
	if (CLOSED.includes(dispute.status))
		throw rejected(`Dispute ${dispute.id} is already closed as ${dispute.status}.`);
	const returned: EventType[] = status === "won" ? ["charge.dispute.funds_reinstated"] : [];
	return {
		dispute: { ...dispute, status },
		events: ["charge.dispute.closed", ...returned],
	};
}

/** Whether a dispute forbids refunds of its charge: while it is open, and after it is lost. */
export const forbidsRefund = ({ status }: Dispute): boolean => status !== "won";
