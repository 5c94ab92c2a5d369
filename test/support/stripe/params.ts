import { isCurrency } from "../../../lib/money/currency.ts";
import { invalidParameter } from "./errors.ts";
import type { Form } from "./form.ts";

/** Stripe's limit of an amount, in minor units. */
const MAX_AMOUNT = 99_999_999;
const METADATA_KEYS = 50;
const METADATA_KEY_LENGTH = 40;
const METADATA_VALUE_LENGTH = 500;

/** @throws ApiError `parameter_unknown` for a parameter not in `names`, other than `expand` */
export function assertKnown(form: Form, names: readonly string[]): void {
	for (const name of Object.keys(form))
		if (name !== "expand" && !names.includes(name))
			throw invalidParameter(`Received unknown parameter: ${name}`, {
				code: "parameter_unknown",
				param: name,
			});
}

/** A text, or undefined if the parameter is absent. @throws ApiError if it is empty or nested */
export function text(form: Form, name: string): string | undefined {
	const value = form[name];
	if (value === undefined) return undefined;
	if (typeof value !== "string") throw invalidParameter(`Invalid string: ${name}`, { param: name });
	if (value === "")
		throw invalidParameter(`You passed an empty string for '${name}'.`, {
			code: "parameter_invalid_empty",
			param: name,
		});
	return value;
}

/** @throws ApiError `parameter_missing` if the value is undefined */
export function required<T>(value: T | undefined, name: string): T {
	if (value === undefined)
		throw invalidParameter(`Missing required param: ${name}.`, {
			code: "parameter_missing",
			param: name,
		});
	return value;
}

/** @throws ApiError if the parameter is not one of `values` */
export function oneOf<T extends string>(
	form: Form,
	name: string,
	values: readonly T[],
): T | undefined {
	const value = text(form, name);
	if (value !== undefined && !(values as readonly string[]).includes(value))
		throw invalidParameter(`Invalid ${name}: must be one of ${values.join(", ")}`, { param: name });
	return value as T | undefined;
}

/** @throws ApiError `parameter_invalid_integer` for anything but a whole number in the range */
export function integer(
	form: Form,
	name: string,
	{ min = 0, max = Number.MAX_SAFE_INTEGER }: { min?: number; max?: number } = {},
): number | undefined {
	const value = text(form, name);
	if (value === undefined) return undefined;
	const number = Number(value);
	const problem = !/^-?\d+$/.test(value)
		? `Invalid integer: ${value}`
		: number < min
			? `This value must be greater than or equal to ${min}.`
			: number > max
				? `This value must be less than or equal to ${max}.`
				: undefined;
	if (problem) throw invalidParameter(problem, { code: "parameter_invalid_integer", param: name });
	return number;
}

/** An amount in minor units, at least 1. @throws ApiError */
export function amount(form: Form, name: string): number | undefined {
	const value = integer(form, name, { min: 1 });
	if (value !== undefined && value > MAX_AMOUNT)
		throw invalidParameter(`Amount must be no more than ${MAX_AMOUNT}.`, {
			code: "amount_too_large",
			param: name,
		});
	return value;
}

/** A currency code in lower case. Stripe's documentation requires lower case. @throws ApiError */
export function currency(form: Form): string | undefined {
	const value = text(form, "currency");
	if (value !== undefined && (value !== value.toLowerCase() || !isCurrency(value.toUpperCase())))
		throw invalidParameter(`Invalid currency: ${value}`, { param: "currency" });
	return value;
}

export function flag(form: Form, name: string): boolean | undefined {
	const value = oneOf(form, name, ["true", "false"]);
	return value === undefined ? undefined : value === "true";
}

/** A nested parameter. @throws ApiError if it is a text */
export function nested(form: Form, name: string): Form | undefined {
	const value = form[name];
	if (typeof value === "string") throw invalidParameter(`Invalid object: ${name}`, { param: name });
	return value;
}

export function list(form: Form, name: string): string[] | undefined {
	const items = nested(form, name);
	return items && Object.keys(items).map((key) => required(text(items, key), `${name}[${key}]`));
}

/**
 * Metadata after a change. An empty value removes a key, and an empty `metadata` removes all.
 * @throws ApiError beyond Stripe's limits: 50 keys of 40 characters, values of 500 characters
 */
export function metadata(
	form: Form,
	current: Readonly<Record<string, string>> = {},
): Record<string, string> {
	if (form.metadata === "") return {};
	const merged: Record<string, string> = { ...current };
	for (const [key, value] of Object.entries(nested(form, "metadata") ?? {})) {
		const param = `metadata[${key}]`;
		if (typeof value !== "string") throw invalidParameter(`Invalid string: ${param}`, { param });
		if (key.length > METADATA_KEY_LENGTH || value.length > METADATA_VALUE_LENGTH)
			throw invalidParameter(`Metadata is too long: ${param}`, { param });
		if (value === "") delete merged[key];
		else merged[key] = value;
	}
	if (Object.keys(merged).length > METADATA_KEYS)
		throw invalidParameter(`Metadata has more than ${METADATA_KEYS} keys`, { param: "metadata" });
	return merged;
}
