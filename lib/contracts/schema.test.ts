import { describe, expect, test } from "@jest/globals";
import FastestValidator from "fastest-validator";
import { list, object, type Shape, validatorOptions } from "./schema.ts";
import { ignoreUnknownFields, rejectUnknownFields } from "./unknown-fields.ts";

const Validator = FastestValidator as unknown as typeof FastestValidator.default;
const validator = new Validator(validatorOptions as object);

/** Validates a value, and converts it in place to the value that the handler receives. */
function errorsOf(
	rules: Shape,
	value: object,
	unknownFields = rejectUnknownFields,
): { type: string; message: string }[] {
	const result = validator.compile(unknownFields(structuredClone(rules)) as never)(value);
	return result === true ? [] : (result as { type: string; message: string }[]);
}
const check = (rules: Shape, value: object, unknownFields = rejectUnknownFields) => ({
	wrong: errorsOf(rules, value, unknownFields).map(({ type }) => type),
	value,
});
const messagesOf = (rules: Shape, value: object) =>
	errorsOf(rules, value).map(({ message }) => message);

test("null is accepted only by nullable fields, at every depth", () => {
	const rules = {
		a: { type: "string", optional: true },
		b: { type: "uuid", nullable: true },
	} as const;
	const deep = {
		...rules,
		c: { ...object(rules), optional: true },
		d: { ...list(rules.b), optional: true },
	} as const;
	expect(check(deep, { b: null }).wrong).toEqual([]);
	expect(check(deep, { a: null, b: null, c: { a: null, b: null }, d: [null] }).wrong).toEqual([
		"notNull",
		"notNull",
	]);
	expect(
		check({ e: { type: "money" }, f: list({ type: "uuid" }) }, { e: null, f: [null] }).wrong,
	).toEqual(["notNull", "notNull"]);
	expect(check({ e: { type: "money" } }, {}).wrong).toEqual(["required"]);
});

test("the error of a null names the field, also in a list, a record and an object", () => {
	const name = { type: "string" } as const;
	const rules = {
		text: name,
		list: list(list(name)),
		rows: list(object({ name })),
		record: {
			type: "record",
			key: { type: "string", max: 5, pattern: "^[a-z]+$" },
			value: list(name),
			max: 5,
		},
		choice: { type: "multi", rules: [name, list(name)] },
	} as const satisfies Shape;
	const value = {
		text: null,
		list: [["a", null], null],
		rows: [{ name: "a" }, null, { name: null }],
		record: { a: ["b"], b: null, c: [null] },
		choice: [null],
	};
	const errors = errorsOf(rules, value) as { field?: string; message: string; type: string }[];
	expect(errors.map(({ type, field }) => `${type} ${field}`)).toEqual([
		"notNull text",
		"notNull list[0][1]",
		"notNull list[1]",
		"notNull rows[1]",
		"notNull rows[2].name",
		"notNull record.b",
		"notNull record.c[0]",
		"notNull choice[0]",
	]);
	expect(errors[5]!.message).toBe("The 'record.b' field must not be null.");
});

test("a default replaces a missing value but not null", () => {
	const rules = {
		text: { type: "string", default: "some" },
		number: { type: "number", default: 7 },
		flag: { type: "boolean", default: true },
		choice: { type: "enum", values: ["one", "two"], default: "one" },
	} as const;
	const defaults = { text: "some", number: 7, flag: true, choice: "one" };
	expect(check(rules, {})).toEqual({ wrong: [], value: defaults });
	const nulls = { text: null, number: null, flag: null, choice: null };
	expect(check(rules, { ...nulls })).toEqual({ wrong: Array(4).fill("notNull"), value: nulls });
	const nullable = Object.fromEntries(
		Object.entries(rules).map(([field, rule]) => [field, { ...rule, nullable: true }]),
	) as Shape;
	expect(check(nullable, { ...nulls })).toEqual({ wrong: [], value: nulls });
});

test("the length of text counts code points, after trimming", () => {
	const rules = {
		text: { type: "string", min: 2, max: 4, trim: true },
		code: { type: "string", length: 2, optional: true },
		email: { type: "email", max: 8, optional: true },
	} as const;
	expect(check(rules, { text: "ab", email: "🛒🛒🛒@a.b" }).wrong).toEqual([]);
	expect(check(rules, { text: "ab", email: "🛒🛒🛒🛒🛒@a.b" }).wrong).toEqual(["emailMax"]);
	for (const text of ["ab", "abcd", "🛒🛒", "🛒🛒🛒🛒", " 🛒a ", "e\u0301"])
		expect(check(rules, { text }).wrong).toEqual([]);
	expect(check(rules, { text: "🛒" }).wrong).toEqual(["stringMin"]);
	expect(check(rules, { text: "🛒🛒🛒🛒🛒" }).wrong).toEqual(["stringMax"]);
	expect(check(rules, { text: "ab", code: "🛒🛒" }).wrong).toEqual([]);
	expect(check(rules, { text: "ab", code: "🛒" }).wrong).toEqual(["stringLength"]);
});

test("a pattern is skipped for text of the wrong length", () => {
	const rules = { text: { type: "string", max: 3, pattern: "^a+$" } } as const;
	expect(check(rules, { text: "bbb" }).wrong).toEqual(["stringPattern"]);
	expect(check(rules, { text: "bbbb" }).wrong).toEqual(["stringMax"]);
});

test("text that Postgres cannot store is rejected", () => {
	const rules = {
		name: { type: "string", trim: true },
		email: { type: "email", normalize: true },
	} as const;
	expect(check(rules, { name: "a\0b", email: "a\0@example.com" }).wrong).toEqual(["text", "text"]);
	expect(check(rules, { name: "half a \ud83d", email: "a\udc00@example.com" }).wrong).toEqual([
		"text",
		"text",
	]);
	expect(check(rules, { name: 1, email: {} }).wrong).toEqual(["string", "string"]);
	expect(check(rules, { name: " Zoë 🛒 ", email: " Zoe@Example.com" })).toEqual({
		wrong: [],
		value: { name: "Zoë 🛒", email: "zoe@example.com" },
	});
});

test("UUIDs are converted to lower case", () => {
	const id = "019A0000-0000-7000-8000-00000000000A";
	expect(check({ id: { type: "uuid" }, more: list({ type: "uuid" }) }, { id, more: [id] })).toEqual(
		{
			wrong: [],
			value: { id: id.toLowerCase(), more: [id.toLowerCase()] },
		},
	);
	expect(check({ id: { type: "uuid" } }, { id: "not-a-uuid" }).wrong).toEqual(["uuid"]);
});

test("an amount has at most the decimals of any currency; its error names the limit", () => {
	const rules = { price: { type: "money" } } as const;
	for (const price of [0, 19.99, 0.07, 0.001, 0.0001, 9_999_999_999.99, 9_999_999_999.9899])
		expect(check(rules, { price }).wrong).toEqual([]);
	for (const price of [0.00001, 0.1 + 0.2, Number.NaN, "19.99", true])
		expect(check(rules, { price }).wrong).toEqual(["money"]);
	for (const price of [-1, Number.NEGATIVE_INFINITY])
		expect(check(rules, { price }).wrong).toEqual(["moneyMin"]);
	for (const price of [10_000_000_000, Number.POSITIVE_INFINITY])
		expect(check(rules, { price }).wrong).toEqual(["moneyMax"]);
	expect(messagesOf({ price: { type: "money", min: 0.01 } }, { price: 0 })).toEqual([
		"The 'price' field must be greater than or equal to 0.01.",
	]);
});

test("a time must be one that Postgres can store", () => {
	const rules = { at: { type: "time" } } as const;
	for (const at of [
		"2026-01-01T12:00:00Z",
		"2024-02-29T23:59:59.999999Z",
		"0001-01-01T00:00:00Z",
		"9999-12-31T23:59:59Z",
	]) {
		expect(check(rules, { at }).wrong).toEqual([]);
	}
	for (const at of [
		"2026-02-30T12:00:00Z",
		"2025-02-29T12:00:00Z",
		"2026-13-01T12:00:00Z",
		"2026-01-01T25:00:00Z",
		"0000-01-01T12:00:00Z",
		"2026-01-01T12:00:00+02:00",
		1,
	]) {
		expect(check(rules, { at }).wrong).toEqual(["time"]);
	}
});

test("the error of an unknown value lists the allowed ones", () => {
	expect(
		messagesOf({ sort: { type: "enum", values: ["name", "-name"] } }, { sort: "colour" }),
	).toEqual(["The 'sort' field must be one of: name, -name."]);
});

test("unknown fields are rejected or removed at every depth", () => {
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
	expect(check(rules, given(), ignoreUnknownFields)).toEqual({
		wrong: [],
		value: { id: given().id, lines: [{ n: 1 }, { n: 2 }], place: { x: 1 } },
	});
	expect(
		check(rules, { ...given(), lines: [{ n: "one", more: 1 }], place: null }, ignoreUnknownFields)
			.wrong,
	).toEqual(["number"]);
});

describe("a record", () => {
	const rules = {
		tags: {
			type: "record",
			key: { type: "string", max: 5, pattern: "^[a-z/\\ud83d]+$" },
			value: {
				type: "multi",
				rules: [
					{ type: "string", max: 3, trim: true },
					{ type: "number" },
					list({ type: "string", trim: true }, { max: 2 }),
				],
			},
			min: 1,
			max: 3,
		},
	} as const satisfies Shape;

	test("accepts values of each type and passes the converted ones", () => {
		const tags = { a: " x ", b: 1, constructor: [" y"] };
		expect(check(rules, { tags: { a: " x ", "b/": 1.5, c: [" y"] } })).toEqual({
			wrong: [],
			value: { tags: { a: "x", "b/": 1.5, c: ["y"] } },
		});
		expect(check(rules, { tags }).wrong).toEqual(["recordKey"]);
		expect(check(rules, { tags: { a: " x" } }, ignoreUnknownFields).value).toEqual({
			tags: { a: "x" },
		});
	});

	test("reports one violation for its size or names, and those of its values", () => {
		for (const tags of [[], "a", 1, true]) expect(check(rules, { tags }).wrong).toEqual(["record"]);
		expect(check(rules, { tags: null }).wrong).toEqual(["notNull"]);
		expect(check(rules, { tags: {} }).wrong).toEqual(["recordMin"]);
		expect(check(rules, { tags: { a: 1, b: 2, c: 3, d: 4 } }).wrong).toEqual(["recordMax"]);
		for (const key of ["A", "", "abcdef", "\ud83d", "__proto__", "$`".repeat(10_000)]) {
			const errors = errorsOf(rules, { tags: JSON.parse(`{${JSON.stringify(key)}: {}}`) });
			expect(errors.map(({ type }) => type)).toEqual(["recordKey"]);
			expect(errors[0]!.message.length).toBeLessThan(100);
		}
		expect(check(rules, { tags: { a: "long", b: null, c: [1, "x"] } }).wrong).toEqual([
			"stringMax",
			"notNull",
			"string",
		]);
		expect(messagesOf(rules, { tags: { a: {}, b: true, c: ["", "", ""] } })).toEqual([
			"The 'tags.a' field must be of the type: string, number, array.",
			"The 'tags.b' field must be of the type: string, number, array.",
			"The 'tags.c' field must contain less than or equal to 2 items.",
		]);
	});
});

describe("a value of several types", () => {
	const place = {
		type: "multi",
		rules: [{ type: "string", max: 5, trim: true }, object({ city: { type: "string" } })],
	} as const;
	test("is checked by the rule of its type only", () => {
		expect(check({ place }, { place: " here " })).toEqual({ wrong: [], value: { place: "here" } });
		expect(check({ place }, { place: { city: "Ulm" } }).wrong).toEqual([]);
		expect(check({ place }, { place: { city: 1 } }).wrong).toEqual(["string"]);
		for (const value of [1, true, ["Ulm"]])
			expect(check({ place }, { place: value }).wrong).toEqual(["multi"]);
		expect(check({ place }, { place: null }).wrong).toEqual(["notNull"]);
		expect(check({ place: { ...place, nullable: true } }, { place: null }).wrong).toEqual([]);
	});

	test("rejects or removes unknown fields of an object", () => {
		const given = { place: { city: "Ulm", more: 1 } };
		expect(check({ place }, structuredClone(given)).wrong).toEqual(["objectStrict"]);
		expect(check({ place }, structuredClone(given), ignoreUnknownFields)).toEqual({
			wrong: [],
			value: { place: { city: "Ulm" } },
		});
	});
});

describe("a value of the wrong length", () => {
	test("is rejected before its pattern is checked", () => {
		const pattern = "^a+$";
		const rules = {
			name: { type: "string", min: 2, max: 5, trim: true, pattern },
			code: { type: "string", length: 3, pattern },
		} as const;
		expect(check(rules, { name: "b".repeat(100_000), code: "bbbb" }).wrong).toEqual([
			"stringMax",
			"stringLength",
		]);
		expect(check(rules, { name: " b ", code: "" }).wrong).toEqual(["stringMin", "stringLength"]);
		expect(check(rules, { name: "bbb", code: "aaa" }).wrong).toEqual(["stringPattern"]);
		expect(check(rules, { name: " aaaaa ", code: "aaa" })).toEqual({
			wrong: [],
			value: { name: "aaaaa", code: "aaa" },
		});
	});

	test("is the only error, even if its content is invalid as well", () => {
		const rules = {
			email: { type: "email", max: 20, normalize: true },
			lines: list({ type: "number" }, { max: 2 }),
		} as const;
		expect(check(rules, { email: `${"@.".repeat(1100)} x`, lines: ["a", "b", "c"] }).wrong).toEqual(
			["emailMax", "arrayMax"],
		);
		// The stored length counts: "İ" has two characters in lower case.
		expect(check(rules, { email: `${"İ".repeat(10)}@example.com`, lines: [] }).wrong).toEqual([
			"emailMax",
		]);
	});
});

test("an e-mail address has one @ and a domain whose dots separate characters", () => {
	const rules = { email: { type: "email" } } as const;
	for (const email of ["a@example.com", "zoë.k+x@sub.example.co", "'@1.2"])
		expect(check(rules, { email }).wrong).toEqual([]);
	for (const email of [
		"a",
		"a@b",
		"@b.c",
		"a@b.",
		"a@.b",
		"a@b..c",
		"a@b@c.d",
		"a b@c.d",
		"a@c.d\n",
	])
		expect(check(rules, { email }).wrong).toEqual(["email"]);
	expect(check(rules, { email: "" }).wrong).toEqual(["emailEmpty"]);
});

test("a message does not contain field names that the client chose", () => {
	const result = validator.compile({ $$strict: true, a: { type: "string" } } as never)({
		a: "x",
		["$`".repeat(10_000)]: 1,
	});
	expect((result as { message: string }[]).map(({ message }) => message.length < 100)).toEqual([
		true,
	]);
});
