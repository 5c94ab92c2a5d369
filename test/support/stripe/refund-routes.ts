import { forbidsRefund } from "./disputes.ts";
import { rejected } from "./errors.ts";
import { LIST_PARAMS, page } from "./lists.ts";
import type { Charge } from "./objects.ts";
import { amount, assertKnown, metadata, oneOf, required, text } from "./params.ts";
import { initialStatus, newRefund, refundAmount, resolveRefund } from "./refunds.ts";
import type { ApiRequest, Routes } from "./route.ts";
import type { State } from "./state.ts";

const REASONS = ["duplicate", "fraudulent", "requested_by_customer"] as const;

export const refundRoutes: Routes = {
	"POST /v1/refunds": createRefund,
	"GET /v1/refunds": (state, { form, path }) => {
		assertKnown(form, [...LIST_PARAMS, "payment_intent", "charge"]);
		const intent = text(form, "payment_intent");
		const charge = text(form, "charge");
		const found = [...state.refunds.values()].filter(
			(refund) =>
				(intent === undefined || refund.payment_intent === intent) &&
				(charge === undefined || refund.charge === charge),
		);
		return page(found, form, path);
	},
	"GET /v1/refunds/:id": (state, { form, id }) => {
		assertKnown(form, []);
		return state.find(state.refunds, "refund", id);
	},
	"POST /v1/refunds/:id": (state, { form, id }) => {
		assertKnown(form, ["metadata"]);
		const refund = state.find(state.refunds, "refund", id);
		const changed = { ...refund, metadata: metadata(form, refund.metadata ?? {}) };
		state.refunds.set(id, changed);
		state.publish("refund.updated", changed);
		return changed;
	},
	"POST /v1/refunds/:id/cancel": (state, { form, id }) => {
		assertKnown(form, []);
		const refund = state.find(state.refunds, "refund", id);
		if (refund.status !== "pending")
			throw rejected(`Refund ${id} has status ${refund.status} and cannot be canceled.`);
		const { refund: canceled, events } = resolveRefund(refund, "canceled");
		state.applyRefund(canceled, events);
		return canceled;
	},
};

function createRefund(state: State, { form }: ApiRequest) {
	assertKnown(form, ["payment_intent", "charge", "amount", "metadata", "reason"]);
	const requested = amount(form, "amount");
	const reason = oneOf(form, "reason", REASONS) ?? null;
	const data = metadata(form);
	const charge = chargeToRefund(state, form);
	const value = refundableAmount(state, charge, requested);
	const refund = newRefund({
		id: state.newId("re"),
		now: state.now(),
		charge,
		status: initialStatus(state.behaviorOf(charge.payment_method), state.refundsStartAs),
		amount: value,
		metadata: data,
		reason,
	});
	state.applyRefund(refund, ["refund.created", "charge.refunded"]);
	return refund;
}

/** @throws ApiError if the request names no charge, or an intent that has none */
function chargeToRefund(state: State, form: ApiRequest["form"]): Charge {
	const id = text(form, "charge");
	if (id !== undefined) return state.charge(id);
	const intent = state.intent(required(text(form, "payment_intent"), "payment_intent"));
	const charge = state.chargeOf(intent);
	if (!charge)
		throw rejected(
			`This PaymentIntent (${intent.id}) does not have a successful charge to refund.`,
			{
				code: "payment_intent_unexpected_state",
			},
		);
	return charge;
}

function refundableAmount(state: State, charge: Charge, requested: number | undefined): number {
	const disputed = state.disputesOf(charge).some(forbidsRefund);
	const refunds = state.refundsOf(charge);
	try {
		return refundAmount(charge, refunds, disputed, requested);
	} catch (error) {
		const message = `refund of ${requested ?? "the rest"} rejected: ${(error as Error).message}`;
		if (charge.captured && !disputed)
			state.violation("refund_over_captured", charge.payment_intent, message);
		throw error;
	}
}
