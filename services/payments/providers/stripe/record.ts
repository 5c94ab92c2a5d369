import type Stripe from "stripe";
import { fromStripeUnits } from "../../../../lib/money/stripe-units.ts";
import type { ProviderRecord, ProviderResult, ProviderTransaction } from "../provider.ts";
import type { IntentRow } from "./statements.ts";

/** Objects of Stripe from which the record of a payment follows. */
export interface StripeObjects {
	/** With its expanded latest charge. */
	readonly intent: Stripe.PaymentIntent;
	readonly refunds: readonly Stripe.Refund[];
	readonly disputes: readonly Stripe.Dispute[];
}
type Decision = Pick<IntentRow, "decline_reason" | "decline_code">;

/** The charge of an intent whose `latest_charge` is expanded. */
export const chargeOf = ({ latest_charge }: Stripe.PaymentIntent): Stripe.Charge | undefined =>
	typeof latest_charge === "object" ? (latest_charge ?? undefined) : undefined;

/** An amount of Stripe's API in major units. The API has currencies in lower case. */
export const amountOf = (units: number, currency: string): number =>
	fromStripeUnits(units, currency.toUpperCase());

/** Metadata by which refunds of this provider are found. */
export const REFUND_KEY = "refund_id";
/** Reference of a refund: its idempotency key, or Stripe's ID if it was created elsewhere. */
const referenceOf = ({ metadata, id }: Stripe.Refund): string => metadata?.[REFUND_KEY] ?? id;

/** The status of a payment; null for an intent that is not confirmed, and can move no money. */
export function resultOf(row: Decision, intent: Stripe.PaymentIntent): ProviderResult | null {
	const { id: reference, status, amount_received, currency } = intent;
	switch (status) {
		case "succeeded":
			return { reference, status: "captured", amount: amountOf(amount_received, currency) };
		case "requires_capture":
			return { reference, status: "authorized" };
		case "processing":
			return { reference, status: "processing" };
		case "requires_action":
			return { reference, status: "requires_action", ...actionOf(intent) };
		case "canceled":
			return { reference, ...endOf(row) };
		default:
			return null;
	}
}

/** The status of a payment that can move no money any more. */
export function endOf({ decline_reason, decline_code }: Decision): ProviderResult {
	if (!decline_reason) return { status: "closed" };
	const code = decline_code ? { code: decline_code } : {};
	return { status: "declined", reason: decline_reason, ...code };
}

/** Data with which the buyer confirms the payment, in the shop's page or on another page. */
function actionOf({ client_secret, next_action: next }: Stripe.PaymentIntent) {
	const redirect_url =
		next?.redirect_to_url?.url ?? next?.verify_with_microdeposits?.hosted_verification_url;
	return { client_secret: client_secret!, ...(redirect_url ? { redirect_url } : {}) };
}

/** The record of a payment; null while its intent is not confirmed. */
export function recordOf(row: Decision, objects: StripeObjects): ProviderRecord | null {
	const result = resultOf(row, objects.intent);
	return result && { result, transactions: [...transactionsOf(result, objects)] };
}

function* transactionsOf(
	result: ProviderResult,
	{ intent, refunds, disputes }: StripeObjects,
): Iterable<ProviderTransaction> {
	const charge = chargeOf(intent);
	const amount = amountOf(intent.amount, intent.currency);
	const common = { reference: intent.id, state: "succeeded", amount } as const;
	const chargedAt = timeOf(charge?.created ?? intent.created);
	if (charge && wasAuthorized(charge, intent))
		yield { ...common, type: "authorization", at: chargedAt };
	if (result.status === "captured")
		yield { ...common, type: "capture", amount: result.amount, at: chargedAt };
	const endedAt = timeOf(intent.canceled_at ?? intent.created);
	if (result.status === "closed") yield { ...common, type: "void", at: endedAt };
	if (result.status === "declined")
		yield { ...common, type: "capture", state: "failed", reason: result.reason, at: endedAt };
	for (const refund of refunds) yield* refundTransactions(refund);
	for (const dispute of disputes) yield* disputeTransactions(dispute);
}

/** Whether the charge of a payment was authorized before its capture. */
function wasAuthorized(charge: Stripe.Charge, intent: Stripe.PaymentIntent): boolean {
	const type = charge.payment_method_details?.type ?? "";
	const options: object = intent.payment_method_options ?? {};
	const option = Reflect.get(options, type) as { readonly capture_method?: string } | undefined;
	return charge.status === "succeeded" && option?.capture_method === "manual";
}

function* refundTransactions(refund: Stripe.Refund): Iterable<ProviderTransaction> {
	const { amount, currency, created, status, failure_reason } = refund;
	const common = {
		type: "refund",
		state: "succeeded",
		reference: referenceOf(refund),
		amount: amountOf(amount, currency),
		at: timeOf(created),
	} as const;
	yield { ...common, state: "requested" };
	if (status === "succeeded") yield common;
	if (hasFailed(refund))
		yield { ...common, type: "refund_failed", reason: failure_reason ?? status! };
}

/** Whether a refund is not paid after all, so that its amount can be refunded again. */
export const hasFailed = ({ status }: Stripe.Refund): boolean =>
	status === "failed" || status === "canceled";

/** Statuses of inquiries, which withdraw no money, and of disputes that were averted. */
const WITHOUT_WITHDRAWAL = ["warning_needs_response", "warning_under_review", "warning_closed"];

function* disputeTransactions(dispute: Stripe.Dispute): Iterable<ProviderTransaction> {
	const { id, status, amount, currency, created, reason, balance_transactions } = dispute;
	if (WITHOUT_WITHDRAWAL.includes(status) || status === "prevented") return;
	const common = {
		state: "succeeded",
		reference: id,
		amount: amountOf(amount, currency),
	} as const;
	yield { ...common, type: "dispute", reason, at: timeOf(created) };
	const reversedAt = balance_transactions.at(-1)?.created ?? created;
	if (status === "won") yield { ...common, type: "dispute_reversed", at: timeOf(reversedAt) };
}

/** @param seconds since 1970 */
const timeOf = (seconds: number): string => new Date(seconds * 1000).toISOString();
