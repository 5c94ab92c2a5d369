import { describe, expect, test } from "@jest/globals";
import { ProblemError } from "../../clients/typescript/src/index.ts";
import {
	changedFields,
	linesOf,
	localTime,
	numberOf,
	rowsOf,
	textOf,
	timeOf,
	withFields,
} from "./form-values.ts";

const formOf = (fields: Record<string, string>): FormData => {
	const values = new FormData();
	for (const [name, value] of Object.entries(fields)) values.set(name, value);
	return values;
};

test("texts, numbers and lines of a form are trimmed", () => {
	const values = formOf({ a: " x ", n: " 1.50 ", blank: " ", lines: "a\r\n\n b \n" });
	expect([textOf(values, "a"), textOf(values, "none")]).toEqual(["x", ""]);
	expect(["n", "blank", "none"].map((name) => numberOf(values, name))).toEqual([
		1.5,
		undefined,
		undefined,
	]);
	expect(linesOf(values, "lines")).toEqual(["a", "b"]);
});

test("rows of a form are read by their positions", () => {
	const values = formOf({ "x[1].b": "2", "x[0].a": " 1 ", "x[1].a": "3", "xy[0].a": "9", x: "8" });
	expect(rowsOf(values, "x")).toEqual([{ a: "1" }, { a: "3", b: "2" }]);
	expect(rowsOf(formOf({ "[0].a": "1", "y[0].a": "2" }), "")).toEqual([{ a: "1" }]);
});

test("a time that is shown unchanged keeps its milliseconds", () => {
	const before = "2030-01-31T12:00:00.123Z";
	const values = formOf({
		at: localTime(before),
		later: localTime("2030-01-31T12:00:01Z"),
		blank: "",
	});
	expect(timeOf(values, "at", before)).toBe(before);
	expect(timeOf(values, "at")).toBe("2030-01-31T12:00:00.000Z");
	expect(timeOf(values, "later", before)).toBe("2030-01-31T12:00:01.000Z");
	expect(timeOf(values, "blank", before)).toBeNull();
	expect(localTime(null)).toBe("");
});

test("only fields with another value have changed", () => {
	const before = { a: 1, b: { x: 1, y: [1, 2] }, c: null };
	expect(changedFields(before, { a: 1, b: { y: [1, 2], x: 1 }, c: null })).toEqual({});
	expect(changedFields(before, { a: 2, b: { y: [2, 1], x: 1 }, c: null })).toEqual({
		a: 2,
		b: { y: [2, 1], x: 1 },
	});
});

describe("a problem", () => {
	test("gets the names of the form's inputs", () => {
		const errors = [{ field: "list[3]", message: "is wrong", code: "X" }];
		const document = { code: "VALIDATION_ERROR", detail: "d", errors, more: 1 };
		const problem = new ProblemError(422, document, new Headers(), 1);
		expect(withFields(problem, (field) => field.replace(/\[.*/, ""))).toMatchObject({
			status: 422,
			code: "VALIDATION_ERROR",
			detail: "d",
			errors: [{ field: "list", message: "is wrong", code: "X" }],
			data: { more: 1 },
		});
	});

	test("of another kind is unchanged", () => {
		const error = new TypeError("x");
		expect(withFields(error, () => "")).toBe(error);
	});
});
