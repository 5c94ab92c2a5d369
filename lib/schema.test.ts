import { describe, expect, test } from "@jest/globals";
import FastestValidator from "fastest-validator";
import { readContracts } from "../scripts/openapi.ts";
import { list, object, type Shape, validatorOptions } from "./schema.ts";
import { strict, tolerant } from "./unknown-fields.ts";

const Validator = FastestValidator as unknown as typeof FastestValidator.default;
const validator = new Validator(validatorOptions as object);

/** What is wrong with a value by these rules, and the value as the handler would get it. */
function check(rules: Shape, value: object, reading = strict) {
	const verdict = validator.compile(reading(structuredClone(rules)) as never)(value) as true | { type: string }[];
	return { wrong: verdict === true ? [] : verdict.map(({ type }) => type), value };
}

test("null is refused where a field is optional, at every depth, and taken where it is nullable", () => {
	const rules = { a: { type: "string", optional: true }, b: { type: "uuid", nullable: true } } as const;
	const deep = { ...rules, c: { ...object(rules), optional: true }, d: { ...list(rules.b), optional: true } } as const;
	expect(check(deep, { b: null }).wrong).toEqual([]);
	expect(check(deep, { a: null, b: null, c: { a: null, b: null }, d: [null] }).wrong).toEqual(["required", "required"]);
});

test("text that Postgres cannot hold is refused", () => {
	const rules = { name: { type: "string", trim: true }, email: { type: "email", normalize: true } } as const;
	expect(check(rules, { name: "a\0b", email: "a\0@example.com" }).wrong).toEqual(["text", "text"]);
	expect(check(rules, { name: "half a \ud83d", email: "a\udc00@example.com" }).wrong).toEqual(["text", "text"]);
	expect(check(rules, { name: 1, email: {} }).wrong).toEqual(["string", "string"]);
	expect(check(rules, { name: " Zoë 🛒 ", email: " Zoe@Example.com" })).toEqual({
		wrong: [],
		value: { name: "Zoë 🛒", email: "zoe@example.com" },
	});
});

test("ids come in lower case", () => {
	const id = "019A0000-0000-7000-8000-00000000000A";
	expect(check({ id: { type: "uuid" }, more: list({ type: "uuid" }) }, { id, more: [id] })).toEqual({
		wrong: [],
		value: { id: id.toLowerCase(), more: [id.toLowerCase()] },
	});
	expect(check({ id: { type: "uuid" } }, { id: "nobody" }).wrong).toEqual(["uuid"]);
});

test("an amount has at most two decimals", () => {
	const rules = { price: { type: "money" } } as const;
	for (const price of [0, 19.99, 0.07, 9_999_999_999.99]) expect(check(rules, { price }).wrong).toEqual([]);
	for (const price of [-1, 0.001, Number.NaN, 10_000_000_000, "19.99"]) expect(check(rules, { price }).wrong).toEqual(["money"]);
});

test("a field that is not known is an error to the strict, and left out by the tolerant, at every depth", () => {
	const rules = {
		id: { type: "uuid" },
		lines: list(object({ n: { type: "number" } })),
		place: { ...object({ x: { type: "number" } }), nullable: true },
	} as const;
	const given = () => ({
		id: "019a0000-0000-7000-8000-00000000000a",
		more: 1,
		lines: [{ n: 1, more: 2 }, { n: 2 }],
		place: { x: 1, more: {} },
	});
	expect(check(rules, given()).wrong).toEqual(["objectStrict", "objectStrict", "objectStrict"]);
	expect(check(rules, given(), tolerant)).toEqual({
		wrong: [],
		value: { id: given().id, lines: [{ n: 1 }, { n: 2 }], place: { x: 1 } },
	});
	expect(check(rules, { ...given(), lines: [{ n: "one", more: 1 }], place: null }, tolerant).wrong).toEqual(["number"]);
});

describe("a value of the wrong length", () => {
	test("is rejected before a pattern looks at it", () => {
		const pattern = "^a+$";
		const rules = { name: { type: "string", min: 2, max: 5, trim: true, pattern }, code: { type: "string", length: 3, pattern } } as const;
		expect(check(rules, { name: "b".repeat(100_000), code: "bbbb" }).wrong).toEqual(["stringMax", "stringLength"]);
		expect(check(rules, { name: " b ", code: "" }).wrong).toEqual(["stringMin", "stringLength"]);
		expect(check(rules, { name: "bbb", code: "aaa" }).wrong).toEqual(["stringPattern"]);
		expect(check(rules, { name: " aaaaa ", code: "aaa" })).toEqual({ wrong: [], value: { name: "aaaaa", code: "aaa" } });
	});

	test("is one error, also where its content is wrong as well", () => {
		const rules = { email: { type: "email", max: 20, normalize: true }, lines: list({ type: "number" }, { max: 2 }) } as const;
		expect(check(rules, { email: `${"@.".repeat(1100)} x`, lines: ["a", "b", "c"] }).wrong).toEqual(["emailMax", "arrayMax"]);
		// The length that counts is the one that is stored: "İ" has two characters in lower case.
		expect(check(rules, { email: `${"İ".repeat(10)}@example.com`, lines: [] }).wrong).toEqual(["emailMax"]);
	});

	test("is one error for every parameter of every contract that has a limit", async () => {
		const limited = (await readContracts()).flatMap(({ name, actions }) =>
			Object.entries(actions).flatMap(([key, { params }]) =>
				Object.entries(params as Shape).flatMap(([field, rule]) => {
					const { max, length = max } = rule as { max?: number; length?: number };
					if (length === undefined || rule.type === "number") return [];
					const value = rule.type === "array" ? Array(length + 1).fill(null) : "@.".repeat(length);
					return check({ [field]: rule }, { [field]: value }).wrong.map((wrong) => ({ at: `${name}.${key} ${field}`, wrong }));
				}),
			),
		);
		expect(limited.length).toBeGreaterThan(30);
		expect(limited.filter(({ wrong }) => !/(Max|Length)$/.test(wrong))).toEqual([]);
	});
});

test("an e-mail address has one @, and dots in its domain that stand between characters", () => {
	const rules = { email: { type: "email" } } as const;
	for (const email of ["a@example.com", "zoë.k+x@sub.example.co", "'@1.2"]) expect(check(rules, { email }).wrong).toEqual([]);
	for (const email of ["a", "a@b", "@b.c", "a@b.", "a@.b", "a@b..c", "a@b@c.d", "a b@c.d", "a@c.d\n"])
		expect(check(rules, { email }).wrong).toEqual(["email"]);
	expect(check(rules, { email: "" }).wrong).toEqual(["emailEmpty"]);
});

test("what a message says does not grow with names that the client chose", () => {
	const verdict = validator.compile({ $$strict: true, a: { type: "string" } } as never)({ a: "x", ["$`".repeat(10_000)]: 1 });
	expect((verdict as { message: string }[]).map(({ message }) => message.length < 100)).toEqual([true]);
});
