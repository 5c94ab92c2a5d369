import { expect, test } from "@jest/globals";
import FastestValidator from "fastest-validator";
import { type Rule, type Shape, validatorOptions } from "../lib/contracts/schema.ts";
import { rejectUnknownFields } from "../lib/contracts/unknown-fields.ts";
import { readContracts } from "../tools/documents/openapi.ts";

const Validator = FastestValidator as unknown as typeof FastestValidator.default;
const validator = new Validator(validatorOptions as object);

/** Types of the violations of one parameter. */
function violations(params: Shape, values: object): string[] {
	const result = validator.compile(structuredClone(rejectUnknownFields(params)) as never)(values);
	return result === true ? [] : (result as { type: string }[]).map(({ type }) => type);
}

function tooLong(rule: Rule, length: number): unknown {
	if (rule.type === "array") return Array(length + 1).fill(null);
	return rule.type === "record"
		? Object.fromEntries(Array.from({ length: length + 1 }, (_, i) => ["@.".repeat(i), null]))
		: "@.".repeat(length);
}

test("the length is the only violation of a parameter over its limit", async () => {
	const found = (await readContracts()).flatMap(({ name, actions }) =>
		Object.entries(actions).flatMap(([key, { params }]) =>
			Object.entries(params as Shape).flatMap(([field, rule]) => {
				const { max, length = max } = rule as { max?: number; length?: number };
				if (length === undefined || rule.type === "number") return [];
				const value = tooLong(rule, length);
				return violations({ [field]: rule }, { [field]: value }).map((type) => ({
					at: `${name}.${key} ${field}`,
					type,
				}));
			}),
		),
	);
	expect(found.length).toBeGreaterThan(30);
	expect(found.filter(({ type }) => !/(Max|Length)$/.test(type))).toEqual([]);
});
