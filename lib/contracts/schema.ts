import { MAX_DIGITS, MONEY_MAX } from "../money/currency.ts";
import { messages } from "./validation-messages.ts";
import { customRules, refineRules, rejectNull } from "./validation-rules.ts";

export type { Infer, Input, Value } from "./values.ts";

/**
 * The rules of contracts: a subset of fastest-validator's rules, with their TypeScript types
 * (values.ts) and JSON Schemas. Rules are plain data, so that Moleculer's registry can transmit
 * them to other nodes.
 */
interface Common {
	readonly optional?: true;
	readonly nullable?: true;
	readonly description?: string;
	/** Example in the API documents. Required with a pattern, for which none can be generated. */
	readonly example?: unknown;
}
export type Rule =
	| (Common & {
			readonly type: "string";
			readonly min?: number;
			readonly max?: number;
			readonly length?: number;
			readonly pattern?: string;
			readonly trim?: true;
			readonly default?: string;
	  })
	| (Common & { readonly type: "email"; readonly max?: number; readonly normalize?: true })
	| (Common & { readonly type: "uuid" })
	| (Common & {
			readonly type: "number";
			readonly integer?: true;
			readonly min?: number;
			readonly max?: number;
			/** Converts text to a number. Only for path and query parameters. */
			readonly convert?: true;
			readonly default?: number;
	  })
	| (Common & { readonly type: "boolean"; readonly convert?: true; readonly default?: boolean })
	/**
	 * Decimal number in major units with no more decimals than its currency has. The rule itself does
	 * not know the currency and accepts the most decimals of any; the service checks the currency's.
	 */
	| (Common & { readonly type: "money"; readonly min?: number; readonly convert?: true })
	/** RFC 3339 time in UTC. */
	| (Common & { readonly type: "time" })
	| (Common & { readonly type: "any" })
	| (Common & {
			readonly type: "enum";
			readonly values: readonly string[];
			readonly default?: string;
	  })
	| (Common & {
			readonly type: "array";
			readonly items: Rule;
			readonly min?: number;
			readonly max?: number;
	  })
	| (Common & { readonly type: "object"; readonly props: Shape })
	/** Object with any names that match `key`, at most `max`. */
	| (Common & {
			readonly type: "record";
			readonly key: Rule & { readonly type: "string" };
			readonly value: Rule;
			readonly min?: number;
			readonly max: number;
	  })
	/** Value of one of several rules, which differ in their JSON type. */
	| (Common & { readonly type: "multi"; readonly rules: readonly Alternative[] });
type Alternative = Rule & {
	readonly type: "string" | "number" | "boolean" | "array" | "object";
};
export type Shape = { readonly [field: string]: Rule };

/** Returns fields unchanged, with their literal types, for use in several objects. */
export const shape = <const S extends Shape>(props: S): S => props;
/** Rule of an object with the given fields. */
export const object = <const S extends Shape>(props: S) => ({ type: "object", props }) as const;
/** Rule of a list of `items`. */
export const list = <
	const R extends Rule,
	const O extends { min?: number; max?: number; description?: string },
>(
	items: R,
	options?: O,
) => ({ type: "array", items, ...options }) as const;
/**
 * Rule of one page of a list. The gateway responds with `rows` as the body and `total` in
 * X-Total-Count. `more` states whether rows follow. It is required for a page whose position in the
 * list is unknown; otherwise position and total are sufficient.
 */
export const page = <const S extends Shape>(props: S) =>
	({
		type: "object",
		props: {
			rows: list(object(props)),
			total: { type: "number", integer: true },
			more: { type: "boolean", optional: true },
		},
	}) as const;
/** Parameters of every list. */
export const paging = shape({
	skip: { type: "number", integer: true, min: 0, max: 1_000_000_000, convert: true, default: 0 },
	limit: { type: "number", integer: true, min: 1, max: 100, convert: true, default: 100 },
});

/** Maximum size of a body that is not parsed, in bytes. */
export const RAW_BODY_BYTES = 256 * 1024;
/** Parameters of an action with a raw body. */
export const rawBody = shape({
	body: {
		type: "string",
		// Base64 encodes three bytes in four characters.
		max: Math.ceil(RAW_BODY_BYTES / 3) * 4,
		description: "The bytes of the body in base64",
	},
	headers: list(object({ name: { type: "string" }, value: { type: "string" } }), { max: 200 }),
});

/** Parameters for a scan in order of an ID: rows after `after`, up to and including `upto`. */
export const range = shape({
	after: { type: "uuid" },
	upto: { type: "uuid", nullable: true, description: "No upper limit if null" },
	limit: { type: "number", integer: true, min: 1, max: 1000 },
});

/** Shape with the same fields, all optional: the body of a partial update. */
export const partial = <const S extends Shape>(props: S) =>
	Object.fromEntries(
		Object.entries(props).map(([field, rule]) => [field, { ...rule, optional: true }]),
	) as {
		[K in keyof S]: S[K] & { optional: true };
	};
/** Shape with only the named fields. */
export const pick = <const S extends Shape, K extends keyof S>(props: S, ...fields: K[]) =>
	Object.fromEntries(fields.map((field) => [field, props[field]])) as { [F in K]: S[F] };

/** Only `nullable` allows null. By default, fastest-validator accepts null for optional fields. */
const notNull = { nullable: false };

/**
 * Options of fastest-validator with our rules. Unknown fields are errors at every depth, unless a
 * rule specifies otherwise.
 */
export const validatorOptions = {
	useNewCustomCheckerFunction: true,
	haltOnFirstError: false,
	considerNullAsAValue: true,
	defaults: {
		string: notNull,
		email: notNull,
		uuid: notNull,
		number: notNull,
		boolean: notNull,
		money: notNull,
		time: notNull,
		any: notNull,
		enum: notNull,
		array: notNull,
		object: { ...notNull, strict: true },
		record: notNull,
		multi: notNull,
	} satisfies Record<Rule["type"], object>,
	plugins: [refineRules, rejectNull],
	messages,
	customRules,
};

const defined = (entries: Record<string, unknown>) =>
	Object.fromEntries(Object.entries(entries).filter(([, value]) => value !== undefined));

/** Converts a rule to JSON Schema (2020-12), for the OpenAPI and AsyncAPI documents. */
export function toJsonSchema(rule: Rule): Record<string, unknown> {
	const base = { ...defined(describe(rule)), ...defined({ description: rule.description }) };
	return rule.nullable ? { anyOf: [base, { type: "null" }] } : base;
}
function describe(rule: Rule): Record<string, unknown> {
	switch (rule.type) {
		case "string":
			return {
				type: "string",
				minLength: rule.length ?? rule.min,
				maxLength: rule.length ?? rule.max,
				pattern: rule.pattern,
				default: rule.default,
			};
		case "email":
			return { type: "string", format: "email", maxLength: rule.max };
		case "uuid":
			return { type: "string", format: "uuid" };
		case "number":
			return {
				type: rule.integer ? "integer" : "number",
				minimum: rule.min,
				maximum: rule.max,
				default: rule.default,
			};
		case "money":
			// No multipleOf: it differs by currency, and 19.99 is not a multiple of 0.01 in floating
			// point, so validators disagree on such values.
			return {
				type: "number",
				minimum: rule.min ?? 0,
				maximum: MONEY_MAX,
				description:
					"Major units with no more decimals than the currency has in " +
					`Unicode CLDR (JPY 0, EUR 2, BHD 3), ${MAX_DIGITS} at most`,
			};
		case "time":
			return { type: "string", format: "date-time" };
		case "boolean":
			return { type: "boolean", default: rule.default };
		case "enum":
			return { type: "string", enum: rule.values, default: rule.default };
		case "array":
			return {
				type: "array",
				items: toJsonSchema(rule.items),
				minItems: rule.min,
				maxItems: rule.max,
			};
		case "object":
			return objectSchema(rule.props);
		case "record":
			return {
				type: "object",
				propertyNames: toJsonSchema(rule.key),
				additionalProperties: toJsonSchema(rule.value),
				minProperties: rule.min,
				maxProperties: rule.max,
			};
		case "multi":
			return { anyOf: rule.rules.map(toJsonSchema) };
		case "any":
			return {};
	}
}
/** Converts a shape to a JSON Schema object. */
export function objectSchema(props: Shape): Record<string, unknown> {
	return {
		type: "object",
		properties: Object.fromEntries(
			Object.entries(props).map(([field, rule]) => [field, toJsonSchema(rule)]),
		),
		required: Object.keys(props).filter(
			(field) => !props[field]!.optional && !("default" in props[field]!),
		),
		additionalProperties: false,
	};
}
