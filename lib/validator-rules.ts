/**
 * Corrects fastest-validator's own rules:
 * - Postgres' text cannot hold U+0000, nor its JSON one half of a surrogate pair. IDs are compared as text, so they are stored in lower case (RFC 9562).
 * - The rule for e-mail addresses is cubic in the length of the value (`@.@.@.… x`). EMAIL is linear.
 * - A value of a wrong length is rejected before anything else looks at it: see `checkLengthFirst`.
 */
export function refineRules(validator: Compiler): void {
	const wrap = (name: string, after: (rule: CompiledRule<object>) => string) => {
		const original = validator.rules[name]!;
		validator.rules[name] = function (rule, ...rest) {
			const { source, ...compiled } = original.call(this, rule, ...rest);
			return { ...compiled, source: `value = (() => { ${source} })(); if (typeof value === "string") { ${after(rule)} } return value;` };
		};
	};
	const text = ({ messages }: CompiledRule<object>) =>
		`if (value.includes("\\0") || !value.isWellFormed()) { ${validator.makeError({ type: "text", actual: "value", messages })} }`;
	validator.rules.email = emailRule;
	wrap("string", text);
	wrap("email", text);
	wrap("uuid", () => "value = value.toLowerCase();");
	checkLengthFirst(validator, "string", ({ trim }) => `if (typeof value === "string") { ${trim ? "value = value.trim();" : ""}`);
	checkLengthFirst(
		validator,
		"email",
		({ normalize }) => `if (typeof value === "string") { ${normalize ? "value = value.trim().toLowerCase();" : ""}`,
	);
	checkLengthFirst(validator, "array", () => "if (Array.isArray(value)) {");
}

/** Linear: each character fits only one part of the pattern. */
const EMAIL = /^[^\s@]+@[^\s@.]+(?:\.[^\s@.]+)+$/;

function emailRule(this: Compiler, { schema, messages }: CompiledRule<Limits>): { source: string; sanitized: boolean } {
	const fail = (type: string) => `${this.makeError({ type, actual: "value", messages })} return value;`;
	return {
		sanitized: schema.normalize === true,
		source: `if (typeof value !== "string") { ${fail("string")} }
			if (value === "") { ${fail("emailEmpty")} }
			if (!${EMAIL}.test(value)) { ${fail("email")} }
			return value;`,
	};
}

/**
 * Makes a rule check `min`, `max` and `length` before anything else, and stop at the first violation. fastest-validator reports a violation and goes
 * on: it runs the pattern over the value whatever its length, or visits every element.
 * @param open begins the block in which `value` has a length, and normalizes it as the rule does
 */
function checkLengthFirst(validator: Compiler, name: "string" | "email" | "array", open: (schema: Limits) => string): void {
	const original = validator.rules[name]!;
	validator.rules[name] = function (rule: CompiledRule<Limits>, ...rest) {
		const { min, max, length, ...others } = rule.schema;
		const { source, ...compiled } = original.call(this, { ...rule, schema: others }, ...rest);
		const limit = (kind: string, operator: string, expected: number | undefined) =>
			expected === undefined
				? ""
				: `if (size ${operator} ${expected}) {
					${this.makeError({ type: name + kind, expected, actual: "size", messages: rule.messages })}
					return value;
				}`;
		return {
			...compiled,
			source: `${open(rule.schema)}
					const size = value.length;
					${limit("Min", "<", min)} ${limit("Max", ">", max)} ${limit("Length", "!==", length)}
				}
				${source}`,
		};
	};
}

/** What is used of fastest-validator's compiler. */
export interface Compiler {
	makeError(parts: { type: string; expected?: number; actual: string; messages: object }): string;
	rules: Record<string, (this: Compiler, rule: CompiledRule<Limits>, ...rest: unknown[]) => { source: string }>;
}
/** Parts of a rule that concern the length of its value. */
interface Limits {
	readonly min?: number;
	readonly max?: number;
	readonly length?: number;
	readonly trim?: boolean;
	readonly normalize?: boolean;
}
export interface CompiledRule<S> {
	schema: S;
	messages: object;
}
