import {
	type Behavior,
	behaviorOf,
	isMethodType,
	METHOD_TYPES,
	TOKEN_OF_TYPE,
	typesFor,
} from "./cards.ts";
import { invalidParameter, rejected, resourceMissing } from "./errors.ts";
import type { Form } from "./form.ts";
import type { PaymentMethod } from "./objects.ts";
import { nested, required, text } from "./params.ts";
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
 * Types with which an intent can be paid: of the allowed ones, those that fit its currency, its
 * capture method and its exclusions. Stripe ignores allowed types that do not fit.
 *
 * @throws ApiError for a type that the stand-in does not support, or if no type is left
 */
export function typesOf(
	currency: string,
	{ manual, redirects }: { manual: boolean; redirects: boolean },
	{ allowed, excluded }: { allowed: string[] | undefined; excluded: string[] | undefined },
): string[] {
	for (const type of [...(allowed ?? []), ...(excluded ?? [])])
		if (!isMethodType(type)) throw unknownType(type);
	const types = typesFor(currency, manual).filter(
		(type) =>
			(allowed?.includes(type) ?? true) &&
			!excluded?.includes(type) &&
			(redirects || !METHOD_TYPES[type].redirects),
	);
	if (types.length === 0)
		throw rejected("No valid payment method types for this Payment Intent.", {
			code: "payment_intent_invalid_parameter",
			param: "allowed_payment_method_types",
		});
	return types;
}

const unknownType = (type: string) =>
	invalidParameter(`The stand-in does not support the payment method type ${type}.`, {
		param: "allowed_payment_method_types",
	});
