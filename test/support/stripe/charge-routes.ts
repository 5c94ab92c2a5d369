import { closeDispute } from "./disputes.ts";
import { LIST_PARAMS, page } from "./lists.ts";
import { assertKnown, text } from "./params.ts";
import type { Routes } from "./route.ts";

/** Charges, disputes and payment methods. */
export const chargeRoutes: Routes = {
	"GET /v1/charges": (state, { form, path }) => {
		assertKnown(form, [...LIST_PARAMS, "payment_intent"]);
		const intent = text(form, "payment_intent");
		const found = [...state.charges.values()].filter(
			({ payment_intent }) => intent === undefined || payment_intent === intent,
		);
		return page(found, form, path);
	},
	"GET /v1/charges/:id": (state, { form, id }) => {
		assertKnown(form, []);
		return state.charge(id);
	},
	"GET /v1/disputes": (state, { form, path }) => {
		assertKnown(form, [...LIST_PARAMS, "payment_intent", "charge"]);
		const intent = text(form, "payment_intent");
		const charge = text(form, "charge");
		const found = [...state.disputes.values()].filter(
			(dispute) =>
				(intent === undefined || dispute.payment_intent === intent) &&
				(charge === undefined || dispute.charge === charge),
		);
		return page(found, form, path);
	},
	"GET /v1/disputes/:id": (state, { form, id }) => {
		assertKnown(form, []);
		return state.find(state.disputes, "dispute", id, "dispute");
	},
	"POST /v1/disputes/:id/close": (state, { form, id }) => {
		assertKnown(form, []);
		const { dispute, events } = closeDispute(
			state.find(state.disputes, "dispute", id, "dispute"),
			"lost",
		);
		state.disputes.set(id, dispute);
		for (const type of events) state.publish(type, dispute);
		return dispute;
	},
	"GET /v1/payment_methods/:id": (state, { form, id }) => {
		assertKnown(form, []);
		return state.find(state.methods, "PaymentMethod", id, "payment_method");
	},
};
