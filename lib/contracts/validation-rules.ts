import { MAX_DIGITS, MONEY_MAX } from "../money/currency.ts";

/** Minor units per major unit of the currencies with the most decimals. */
const SCALE = 10 ** MAX_DIGITS;

/** Input of a rule of fastest-validator: the schema of a field, and error messages by type. */
interface CompiledRule<S> {
	schema: S;
	messages: object;
}
/**
 * Part of fastest-validator that our rules use, including the undocumented
 * `wrapRequiredCheckSourceCode`. A rule generates source text in which `value` is the value of the
 * field. schema.test.ts fails if an upgrade changes it.
 */
interface Compiler {
	makeError(parts: { type: string; actual: string; expected?: string; messages: object }): string;
	rules: Record<
		string,
		(this: Compiler, rule: CompiledRule<Limits>, ...rest: unknown[]) => { source: string }
	>;
	getRuleFromSchema(schema: object): object;
	compileRule(rule: object, context: object, path: string, call: string, into: string): string;
	wrapRequiredCheckSourceCode(
		rule: CompiledRule<{ nullable?: boolean }>,
		...rest: unknown[]
	): string;
}

/** Properties of a rule that restrict the length of its value. */
interface Limits {
	readonly min?: number;
	readonly max?: number;
	readonly length?: number;
	readonly normalize?: boolean;
}
interface StringSchema extends Limits {
	readonly pattern?: string;
	readonly trim?: boolean;
}

/**
 * Rule for a string whose length is counted in code points, as in JSON Schema and Postgres: an
 * emoji is one character. The pattern is skipped for a string of the wrong length, because its
 * running time grows with the length.
 */
function string(
	this: Compiler,
	{ schema: { min, max, length, pattern, trim }, messages }: CompiledRule<StringSchema>,
) {
	const error = (type: string, actual: string, expected?: number) =>
		this.makeError({
			type,
			actual,
			messages,
			...(expected === undefined ? {} : { expected: String(expected) }),
		});
	const reject = (condition: string, type: string, expected: number | undefined) =>
		expected === undefined
			? ""
			: `if (${condition}) { ${error(type, "len", expected)} return value; }`;
	return {
		source: `
			if (typeof value !== "string") { ${error("string", "value")} return value; }
			${trim ? "value = value.trim();" : ""}
			const pairs = value.match(/[\\ud800-\\udbff][\\udc00-\\udfff]/g);
			const len = pairs === null ? value.length : value.length - pairs.length;
			${reject(`len < ${min}`, "stringMin", min)}
			${reject(`len > ${max}`, "stringMax", max)}
			${reject(`len !== ${length}`, "stringLength", length)}
			${pattern === undefined ? "" : `if (!${new RegExp(pattern)}.test(value))`}
				${pattern === undefined ? "" : `{ ${error("stringPattern", "value")} }`}
			return value;`,
	};
}

/**
 * Rule for an amount in major units, of any currency. Limits are checked before decimals, so that
 * each error names the violated rule.
 */
function money(
	this: Compiler,
	{ schema: { min = 0, convert }, messages }: CompiledRule<{ min?: number; convert?: boolean }>,
) {
	const error = (type: string, expected?: number) =>
		this.makeError({
			type,
			actual: "value",
			messages,
			...(expected === undefined ? {} : { expected: String(expected) }),
		});
	return {
		source: `
			${convert ? 'if (typeof value === "string" && value.trim()) value = Number(value);' : ""}
			if (typeof value !== "number" || Number.isNaN(value)) { ${error("money")} }
			else if (value < ${min}) { ${error("moneyMin", min)} }
			else if (value > ${MONEY_MAX}) { ${error("moneyMax", MONEY_MAX)} }
			else if (Math.round(value * ${SCALE}) / ${SCALE} !== value) { ${error("money")} }
			return value;`,
	};
}

/** Rule for an RFC 3339 time in UTC that timestamptz can store: a valid date after year 0. */
function time(this: Compiler, { messages }: CompiledRule<object>) {
	return {
		source: `
			const isTime = typeof value === "string" && value >= "0001" &&
				/^\\d{4}-\\d\\d-\\d\\dT\\d\\d:\\d\\d:\\d\\d(\\.\\d{1,9})?Z$/.test(value);
			// Date converts 30 February to a day in March, so the day must remain unchanged.
			const parsed = isTime ? new Date(value) : undefined;
			if (!parsed || Number.isNaN(parsed.getTime()) ||
				parsed.toISOString().slice(0, 10) !== value.slice(0, 10)) {
				${this.makeError({ type: "time", actual: "value", messages })}
			}
			return value;`,
	};
}

interface RecordSchema extends Limits {
	readonly key: { readonly max: number; readonly pattern: string };
	readonly value: object;
}
/**
 * Rule for an object with free names. The number of names and each name are checked before the
 * values, and a violation does not repeat a name: a client can make it arbitrarily long.
 */
function record(
	this: Compiler,
	{ schema: { key, value, min = 0, max }, messages }: CompiledRule<RecordSchema>,
	path: string,
	context: object,
) {
	const error = (type: string, expected?: number) => {
		const limit = expected === undefined ? {} : { expected: String(expected) };
		return `{ ${this.makeError({ type, actual: "size", messages, ...limit })} return value; }`;
	};
	const element = this.compileRule(
		this.getRuleFromSchema(value),
		context,
		`${path}[key]`,
		"element = context.fn[%%INDEX%%](value, field, record, errors, context);",
		"element",
	);
	return {
		sanitized: true,
		source: `
			const record = value;
			const isObject = typeof value === "object" && value !== null && !Array.isArray(value);
			const keys = isObject ? Object.keys(value) : [];
			const size = keys.length;
			if (!isObject) ${error("record")}
			if (size < ${min}) ${error("recordMin", min)}
			if (size > ${max}) ${error("recordMax", max)}
			const isValid = (key) => key.length <= ${key.max} && key.isWellFormed() &&
				${new RegExp(key.pattern)}.test(key);
			if (!keys.every(isValid)) ${error("recordKey")}
			const checked = {};
			const name = field;
			for (const key of keys) {
				// The check for null, which is part of this source, also reports \`field\`.
				const field = name + "." + key;
				let element = value = record[key];
				${element}
				checked[key] = element;
			}
			return checked;`,
	};
}

/** Rule for a value of one of several JSON types. Only the rule of its type reports violations. */
function multi(
	this: Compiler,
	{ schema: { rules }, messages }: CompiledRule<{ rules: readonly { type: string }[] }>,
	path: string,
	context: object,
) {
	const call = "value = context.fn[%%INDEX%%](value, field, parent, errors, context);";
	const cases = rules.map((rule) => {
		const check = this.compileRule(this.getRuleFromSchema(rule), context, path, call, "value");
		return `if (kind === "${rule.type}") { ${check} } else `;
	});
	const expected = JSON.stringify(rules.map(({ type }) => type).join(", "));
	const error = this.makeError({ type: "multi", actual: "kind", expected, messages });
	return {
		sanitized: true,
		source: `
			const kind = Array.isArray(value) ? "array" : typeof value;
			${cases.join("")} { ${error} }
			return value;`,
	};
}

export const customRules = { string, money, time, record, multi };

/**
 * Rejects null unless a rule is nullable. fastest-validator would replace it with the default, so
 * that `payment_token: null` charges the default card, or report the field as missing.
 */
export function rejectNull(validator: Compiler): void {
	const original = validator.wrapRequiredCheckSourceCode;
	validator.wrapRequiredCheckSourceCode = function (rule, ...rest) {
		const source = original.call(this, rule, ...rest);
		const { schema, messages } = rule;
		if (schema.nullable !== false) return source;
		const error = this.makeError({ type: "notNull", actual: "value", messages });
		return `if (value === null) { ${error} } else { ${source} }`;
	};
}

/** Runs in linear time: each character matches only one part of the pattern. */
const EMAIL = /^[^\s@]+@[^\s@.]+(?:\.[^\s@.]+)+$/;

/** Replaces fastest-validator's rule, whose time is cubic in the length (`@.@.@.… x`). */
function emailRule(
	this: Compiler,
	{ schema, messages }: CompiledRule<Limits>,
): { source: string; sanitized: boolean } {
	const fail = (type: string) =>
		`${this.makeError({ type, actual: "value", messages })} return value;`;
	return {
		sanitized: schema.normalize === true,
		source: `if (typeof value !== "string") { ${fail("string")} }
			if (value === "") { ${fail("emailEmpty")} }
			if (!${EMAIL}.test(value)) { ${fail("email")} }
			return value;`,
	};
}

/**
 * Extends fastest-validator's own rules. Text must not contain U+0000 or unpaired surrogates, which
 * Postgres cannot store in text and JSON. UUIDs are converted to lower case (RFC 9562), because
 * they are compared as text. The length of a value is checked before everything else.
 */
export function refineRules(validator: Compiler): void {
	const wrap = (name: string, after: (rule: CompiledRule<object>) => string) => {
		const original = validator.rules[name]!;
		validator.rules[name] = function (rule, ...rest) {
			const { source, ...compiled } = original.call(this, rule, ...rest);
			return {
				...compiled,
				source: `value = (() => { ${source} })();
					if (typeof value === "string") { ${after(rule)} }
					return value;`,
			};
		};
	};
	const text = ({ messages }: CompiledRule<object>) => {
		const error = validator.makeError({ type: "text", actual: "value", messages });
		return `if (value.includes("\\0") || !value.isWellFormed()) { ${error} }`;
	};
	validator.rules.email = emailRule;
	wrap("string", text);
	wrap("email", text);
	wrap("uuid", () => "value = value.toLowerCase();");
	const normalize = (schema: Limits) =>
		schema.normalize ? "value = value.trim().toLowerCase();" : "";
	checkLengthFirst(
		validator,
		"email",
		(schema) => `if (typeof value === "string") { ${normalize(schema)}`,
	);
	checkLengthFirst(validator, "array", () => "if (Array.isArray(value)) {");
	nameElements(validator);
	limitViolations(validator);
}

/** Makes the error of a null in a list name the element. fastest-validator names the list. */
function nameElements(validator: Compiler): void {
	const original = validator.rules.array!;
	validator.rules.array = function (rule, ...rest) {
		const { source, ...compiled } = original.call(this, rule, ...rest);
		const named = 'value = arr[i]; const field = (parentField || "") + "[" + i + "]";';
		return { ...compiled, source: source.replace("value = arr[i];", named) };
	};
}

/** Maximum number of reported violations of a list: they must fit in a message between nodes. */
const MAX_VIOLATIONS = 100;

/** Makes the rule of lists report the first violations only. */
function limitViolations(validator: Compiler): void {
	const original = validator.rules.array!;
	validator.rules.array = function (rule, ...rest) {
		const { source, ...compiled } = original.call(this, rule, ...rest);
		const limit = `if (errors.length > ${MAX_VIOLATIONS}) errors.length = ${MAX_VIOLATIONS};`;
		return { ...compiled, source: source.replace("return arr;", `${limit} return arr;`) };
	};
}

/**
 * Makes a rule check `min`, `max` and `length` first and stop at the first violation.
 * fastest-validator reports a violation and continues: it runs the pattern on the value regardless
 * of its length, or visits every element.
 *
 * @param open source text that opens a block in which `value` has a length, and normalizes `value`
 */
function checkLengthFirst(
	validator: Compiler,
	name: "email" | "array",
	open: (schema: Limits) => string,
): void {
	const original = validator.rules[name]!;
	validator.rules[name] = function (rule: CompiledRule<Limits>, ...rest) {
		const { min, max, length, ...others } = rule.schema;
		const { source, ...compiled } = original.call(this, { ...rule, schema: others }, ...rest);
		const { messages } = rule;
		const limit = (kind: string, operator: string, bound: number | undefined) => {
			if (bound === undefined) return "";
			const expected = String(bound);
			const error = this.makeError({ type: name + kind, expected, actual: "size", messages });
			return `if (size ${operator} ${bound}) { ${error} return value; }`;
		};
		return {
			...compiled,
			source: `${open(rule.schema)}
					const isText = typeof value === "string";
					const pairs = isText ? value.match(/[\\ud800-\\udbff][\\udc00-\\udfff]/g) : null;
					const size = value.length - (pairs === null ? 0 : pairs.length);
					${limit("Min", "<", min)} ${limit("Max", ">", max)} ${limit("Length", "!==", length)}
				}
				${source}`,
		};
	};
}
