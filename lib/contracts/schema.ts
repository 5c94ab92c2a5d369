import { customRules, MONEY_MAX, messages, refineRules, rejectNull } from "./validation-rules.ts";

/**
 * The subset of fastest-validator's rules that contracts are written in, the TypeScript type that each rule means, and its JSON Schema.
 * Rules are plain data: they travel in Moleculer's registry, so another node can read them.
 */
interface Leaf {
	string: string;
	email: string;
	uuid: string;
	number: number;
	boolean: boolean;
	money: number;
	time: string;
	any: unknown;
}
interface Common {
	readonly optional?: true;
	readonly nullable?: true;
	readonly description?: string;
	/** For the documents; needed where a pattern keeps one from being made up. */
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
			/** Only for what arrives in a path or a query string, where everything is text. */
			readonly convert?: true;
			readonly default?: number;
	  })
	| (Common & { readonly type: "boolean"; readonly convert?: true; readonly default?: boolean })
	/** A decimal number in major units with at most two decimals, as NUMERIC(12,2) holds it. */
	| (Common & { readonly type: "money"; readonly min?: number; readonly convert?: true })
	/** An RFC 3339 time in UTC. */
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
	| (Common & { readonly type: "object"; readonly props: Shape });
export type Shape = { readonly [field: string]: Rule };

type Bare<R> = R extends { type: "enum"; values: readonly (infer V)[] }
	? V
	: R extends { type: "array"; items: infer I }
		? Value<I>[]
		: R extends { type: "object"; props: infer P }
			? Infer<P>
			: R extends { type: infer T extends keyof Leaf }
				? Leaf[T]
				: never;
/** The type of one rule's value. */
export type Value<R> = R extends { nullable: true } ? Bare<R> | null : Bare<R>;

type Flat<T> = { [K in keyof T]: T[K] } & {};
type OptionalIn<S> = {
	[K in keyof S]: S[K] extends { optional: true } | { default: unknown } ? K : never;
}[keyof S];
type OptionalOut<S> = { [K in keyof S]: S[K] extends { optional: true } ? K : never }[keyof S];

type Passed<R> = R extends { nullable: true } ? BarePassed<R> | null : BarePassed<R>;
type BarePassed<R> = R extends { type: "array"; items: infer I }
	? Passed<I>[]
	: R extends { type: "object"; props: infer P }
		? Input<P>
		: Bare<R>;
/** What a caller passes: fields with a default may be left out, at every depth. */
export type Input<S> = Flat<
	{ -readonly [K in Exclude<keyof S, OptionalIn<S>>]: Passed<S[K]> } & {
		-readonly [K in OptionalIn<S>]?: Passed<S[K]>;
	}
>;
/** What a handler receives: defaults are filled in. */
export type Infer<S> = Flat<
	{ -readonly [K in Exclude<keyof S, OptionalOut<S>>]: Value<S[K]> } & {
		-readonly [K in OptionalOut<S>]?: Value<S[K]>;
	}
>;

export const shape = <const S extends Shape>(props: S): S => props;
/** The rule of an object with these fields. */
export const object = <const S extends Shape>(props: S) => ({ type: "object", props }) as const;
/** The rule of a list of `items`. */
export const list = <const R extends Rule, const O extends { min?: number; max?: number }>(
	items: R,
	options?: O,
) => ({ type: "array", items, ...options }) as const;
/**
 * One page of a list: the gateway answers `rows` as the body and `total` as X-Total-Count. `more` tells whether rows follow, for pages whose
 * position in the list is unknown; without it, the position and the total tell.
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
/** The parameters that every list takes. */
export const paging = shape({
	skip: { type: "number", integer: true, min: 0, max: 1_000_000_000, convert: true, default: 0 },
	limit: { type: "number", integer: true, min: 1, max: 100, convert: true, default: 100 },
});

/** A walk over all rows in the order of an id: those behind `after`, up to and with `upto`. */
export const range = shape({
	after: { type: "uuid" },
	upto: { type: "uuid", nullable: true, description: "To the end when null" },
	limit: { type: "number", integer: true, min: 1, max: 1000 },
});

/** The same fields, each of them optional: the body of a partial update. */
export const partial = <const S extends Shape>(props: S) =>
	Object.fromEntries(
		Object.entries(props).map(([field, rule]) => [field, { ...rule, optional: true }]),
	) as {
		[K in keyof S]: S[K] & { optional: true };
	};
/** Only the named fields of a shape. */
export const pick = <const S extends Shape, K extends keyof S>(props: S, ...fields: K[]) =>
	Object.fromEntries(fields.map((field) => [field, props[field]])) as { [F in K]: S[F] };

/** fastest-validator would take null wherever a field is optional; here null is a value, and only `nullable` allows it. */
const notNull = { nullable: false };

/** Options for fastest-validator that teach it our rules; unknown fields are errors at every depth unless a rule says otherwise. */
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
	} satisfies Record<Rule["type"], object>,
	plugins: [refineRules, rejectNull],
	messages,
	customRules,
};

const defined = (entries: Record<string, unknown>) =>
	Object.fromEntries(Object.entries(entries).filter(([, value]) => value !== undefined));

/** The same rule as JSON Schema (2020-12), for the OpenAPI and AsyncAPI documents. */
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
			// Not multipleOf: 19.99 is no multiple of 0.01 in floating point, and validators differ over it.
			return {
				type: "number",
				minimum: rule.min ?? 0,
				maximum: MONEY_MAX,
				description: "Major units with at most two decimals",
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
		case "any":
			return {};
	}
}
/** A shape as a JSON Schema object. */
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
