import { applyAttempt, confirmIntent, methodToConfirm } from "./confirm-intent.ts";
import { LIST_PARAMS, page } from "./lists.ts";
import type { PaymentIntent } from "./objects.ts";
import { amount, assertKnown, flag, metadata, oneOf, text } from "./params.ts";
import { CONFIRM_PARAMS, CREATE_PARAMS, newIntent, optionsOf } from "./payment-intent-params.ts";
import { assertStatus, assertSupports, unexpectedState } from "./payment-intent-rules.ts";
import { type CancellationReason, CONFIRMABLE, cancel, capture } from "./payment-intents.ts";
import { methodOf } from "./payment-methods.ts";
import type { ApiRequest, Routes } from "./route.ts";
import { search } from "./search.ts";
import type { State } from "./state.ts";

const REASONS: readonly Exclude<CancellationReason, "automatic">[] = [
	"abandoned",
	"duplicate",
	"fraudulent",
	"requested_by_customer",
];

export const paymentIntentRoutes: Routes = {
	"POST /v1/payment_intents": createIntent,
	"GET /v1/payment_intents": (state, { form, path }) => {
		assertKnown(form, [...LIST_PARAMS, "customer"]);
		const customer = text(form, "customer");
		const found = [...state.intents.values()].filter(
			(intent) => customer === undefined || intent.customer === customer,
		);
		return page(found, form, path);
	},
	"GET /v1/payment_intents/search": (state, { form, path }) => {
		assertKnown(form, ["query", "limit", "page"]);
		const indexedUntil = state.now() - state.options.searchDelaySeconds;
		const found = [...state.intents.values()].filter(({ created }) => created <= indexedUntil);
		return search(found, form, path);
	},
	"GET /v1/payment_intents/:id": (state, { form, id }) => {
		assertKnown(form, ["client_secret"]);
		return state.intent(id);
	},
	"POST /v1/payment_intents/:id": updateIntent,
	"POST /v1/payment_intents/:id/confirm": (state, request) => {
		const { form, id } = request;
		assertKnown(form, CONFIRM_PARAMS);
		const stored = state.intent(id);
		const payment_method_options = optionsOf(form) ?? stored.payment_method_options;
		const intent = { ...stored, payment_method_options };
		return confirmIntent(state, request, intent, methodToConfirm(state, form, intent));
	},
	"POST /v1/payment_intents/:id/capture": captureIntent,
	"POST /v1/payment_intents/:id/cancel": (state, { form, id }) => {
		assertKnown(form, ["cancellation_reason"]);
		const reason = oneOf(form, "cancellation_reason", REASONS) ?? null;
		const intent = state.intent(id);
		const change = cancel(intent, state.chargeOf(intent), reason, state.now());
		state.apply(change);
		return change.intent;
	},
};

function createIntent(state: State, request: ApiRequest): PaymentIntent {
	const { form } = request;
	assertKnown(form, CREATE_PARAMS);
	const created = newIntent(state, form);
	const method = methodOf(state, form);
	if (method) assertSupports(created, method.type);
	const intent: PaymentIntent = method
		? { ...created, payment_method: method.id, status: "requires_confirmation" }
		: created;
	const confirmed = flag(form, "confirm") ? methodToConfirm(state, form, intent) : undefined;
	state.intents.set(intent.id, intent);
	state.publish("payment_intent.created", intent);
	return confirmed ? confirmIntent(state, request, intent, confirmed) : intent;
}

function updateIntent(state: State, { form, id }: ApiRequest): PaymentIntent {
	assertKnown(form, ["amount", "description", "metadata", "payment_method", "receipt_email"]);
	const intent = state.intent(id);
	const value = amount(form, "amount");
	const method = methodOf(state, form);
	if (value !== undefined || method) assertStatus(intent, "updated", CONFIRMABLE);
	if (method) assertSupports(intent, method.type);
	const changed: PaymentIntent = {
		...intent,
		amount: value ?? intent.amount,
		description: text(form, "description") ?? intent.description,
		metadata: metadata(form, intent.metadata),
		receipt_email: text(form, "receipt_email") ?? intent.receipt_email,
		...(method && { payment_method: method.id, status: "requires_confirmation" }),
	};
	state.intents.set(id, changed);
	return changed;
}

function captureIntent(state: State, { form, id }: ApiRequest): PaymentIntent {
	assertKnown(form, ["amount_to_capture", "metadata", "statement_descriptor"]);
	const requested = amount(form, "amount_to_capture");
	const intent = state.intent(id);
	const charge = state.chargeOf(intent);
	if (intent.status === "succeeded") {
		state.violation("repeated_capture", id, "capture of a captured intent rejected");
		throw unexpectedState(
			intent,
			"This PaymentIntent could not be captured because it has already been captured.",
		);
	}
	assertStatus(intent, "captured", ["requires_capture"]);
	const value = requested ?? intent.amount_capturable;
	if (value > intent.amount_capturable)
		state.violation(
			"capture_over_authorization",
			id,
			`capture of ${value} from ${intent.amount_capturable} rejected`,
		);
	const change = capture({ ...intent, metadata: metadata(form, intent.metadata) }, charge!, value);
	applyAttempt(state, change);
	return change.intent;
}
