import {
	type Behavior,
	behaviorOf,
	isMethodType,
	METHOD_TYPES,
	TOKEN_OF_TYPE,
	typesFor,
} from "./cards.ts";
import { invalidParameter, resourceMissing } from "./errors.ts";
import type { Form } from "./form.ts";
import type { PaymentMethod } from "./objects.ts";
import { list, nested, required, text } from "./params.ts";
import { manualUnsupported } from "./payment-intent-rules.ts";
import type { State } from "./state.ts";

/**
 * The payment method of a request: a test method, a method of an earlier request, or the one that
 * `payment_method_data` describes. Returns undefined if the request names none.
 *
 * @throws ApiError `resource_missing` for an unknown method
 */
export function methodOf(state: State, form: Form): PaymentMethod | undefined {
	const id = text(form, "payment_method");
	const data = nested(form, "payment_method_data");
	if (id !== undefined) return state.methods.get(id) ?? createMethod(state, id);
	if (!data) return undefined;
	const type = required(text(data, "type"), "payment_method_data[type]");
	if (!isMethodType(type)) throw unknownType(type);
	const token = text(nested(data, "card") ?? {}, "token");
	return createMethod(state, token ?? TOKEN_OF_TYPE[type]);
}

function createMethod(state: State, token: string): PaymentMethod {
	const behavior = behaviorOf(token);
	if (!behavior) throw resourceMissing("PaymentMethod", token, "payment_method", 400);
	const method: PaymentMethod = {
		id: state.newId("pm"),
		object: "payment_method",
		created: state.now(),
		livemode: false,
		type: behavior.type,
		token,
	};
	state.methods.set(method.id, method);
	return method;
}

/** Behavior of a stored method. */
export const behaviorOfMethod = ({ token }: PaymentMethod): Behavior => behaviorOf(token)!;

/**
 * Types with which an intent can be paid: those of the request, or all that fit.
 * @throws ApiError for a type that is unknown, or does not fit the currency or manual capture
 */
export function typesOf(form: Form, currency: string, manual: boolean): string[] {
	const requested = list(form, "payment_method_types");
	if (!requested) return typesFor(currency, manual);
	for (const type of requested) {
		if (!isMethodType(type)) throw unknownType(type);
		const { currency: only, manual: supportsManual } = METHOD_TYPES[type];
		if (only !== undefined && only !== currency)
			throw invalidParameter(
				`The currency ${currency} is invalid for ${type}, which requires ${only}.`,
				{
					param: "currency",
				},
			);
		if (manual && !supportsManual) throw manualUnsupported(type);
	}
	return requested;
}

const unknownType = (type: string) =>
	invalidParameter(`The stand-in does not support the payment method type ${type}.`, {
		param: "payment_method_types",
	});
