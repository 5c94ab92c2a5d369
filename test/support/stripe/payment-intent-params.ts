import { randomBytes } from "node:crypto";
import { invalidParameter } from "./errors.ts";
import type { Form } from "./form.ts";
import type { CaptureMethod, PaymentIntent } from "./objects.ts";
import { amount, currency, flag, list, metadata, nested, oneOf, required, text } from "./params.ts";
import { typesOf } from "./payment-methods.ts";
import type { State } from "./state.ts";

/** Parameters of a confirmation, which a creation with `confirm=true` accepts as well. */
const CONFIRM_ONLY = [
	"error_on_requires_action",
	"mandate_data",
	"off_session",
	"return_url",
	"use_stripe_sdk",
] as const;
const SHARED = [
	"payment_method",
	"payment_method_data",
	"payment_method_options",
	"receipt_email",
	"setup_future_usage",
	"shipping",
] as const;
export const CONFIRM_PARAMS = [...CONFIRM_ONLY, ...SHARED];
/** Known parameters of the API that have an effect on one side only are accepted and ignored. */
export const CREATE_PARAMS = [
	...CONFIRM_PARAMS,
	"allowed_payment_method_types",
	"amount",
	"automatic_payment_methods",
	"capture_method",
	"confirm",
	"confirmation_method",
	"currency",
	"customer",
	"description",
	"excluded_payment_method_types",
	"metadata",
	"statement_descriptor",
	"statement_descriptor_suffix",
	"transfer_group",
];
const CAPTURE_METHODS: readonly CaptureMethod[] = ["automatic", "automatic_async", "manual"];

/** A new intent without a payment method, from the parameters of a creation. @throws ApiError */
export function newIntent(state: State, form: Form): PaymentIntent {
	const id = state.newId("pi");
	const code = required(currency(form), "currency");
	const capture_method = oneOf(form, "capture_method", CAPTURE_METHODS) ?? "automatic_async";
	const automatic = automaticMethods(form);
	const allowed = list(form, "allowed_payment_method_types");
	const excluded = list(form, "excluded_payment_method_types");
	if (flag(form, "confirm") !== true)
		for (const param of CONFIRM_ONLY)
			if (form[param] !== undefined)
				throw invalidParameter(`${param} can only be used with confirm=true.`, { param });
	return {
		id,
		object: "payment_intent",
		allowed_payment_method_types: allowed ?? null,
		amount: required(amount(form, "amount"), "amount"),
		amount_capturable: 0,
		amount_received: 0,
		application: null,
		application_fee_amount: null,
		automatic_payment_methods: automatic,
		canceled_at: null,
		cancellation_reason: null,
		capture_method,
		client_secret: `${id}_secret_${randomBytes(12).toString("hex")}`,
		confirmation_method: oneOf(form, "confirmation_method", ["automatic", "manual"]) ?? "automatic",
		created: state.now(),
		currency: code,
		customer: text(form, "customer") ?? null,
		customer_account: null,
		description: text(form, "description") ?? null,
		excluded_payment_method_types: excluded ?? null,
		last_payment_error: null,
		latest_charge: null,
		livemode: false,
		managed_payments: null,
		metadata: metadata(form),
		next_action: null,
		on_behalf_of: null,
		payment_method: null,
		payment_method_configuration_details: null,
		payment_method_options: optionsOf(form),
		payment_method_types: typesOf(
			code,
			{
				manual: capture_method === "manual",
				redirects: automatic.allow_redirects !== "never",
			},
			{ allowed, excluded },
		),
		payment_record: null,
		processing: null,
		receipt_email: text(form, "receipt_email") ?? null,
		review: null,
		setup_future_usage: null,
		shipping: null,
		source: null,
		statement_descriptor: text(form, "statement_descriptor") ?? null,
		statement_descriptor_suffix: text(form, "statement_descriptor_suffix") ?? null,
		status: "requires_payment_method",
		transfer_group: text(form, "transfer_group") ?? null,
	};
}

/** Stripe enables automatic payment methods, also those that redirect the payer, by default. */
function automaticMethods(form: Form): NonNullable<PaymentIntent["automatic_payment_methods"]> {
	const automatic = nested(form, "automatic_payment_methods") ?? { enabled: "true" };
	return {
		enabled: required(flag(automatic, "enabled"), "automatic_payment_methods[enabled]"),
		allow_redirects: oneOf(automatic, "allow_redirects", ["always", "never"]) ?? "always",
	};
}

/** Options by payment method type. Only `capture_method` has an effect. */
export function optionsOf(form: Form): PaymentIntent["payment_method_options"] {
	const options = nested(form, "payment_method_options");
	if (!options) return null;
	for (const type of Object.keys(options))
		oneOf(nested(options, type)!, "capture_method", ["manual"]);
	return structuredClone(options) as PaymentIntent["payment_method_options"];
}
