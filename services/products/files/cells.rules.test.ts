import { expect, test } from "@jest/globals";
import fc from "fast-check";
import { CellError, formatAttribute, readAttribute, readPrice, readStock } from "./cells.rules.ts";

test.each([
	["red", "red"],
	[" red ", "red"],
	["true", true],
	["-12.5", -12.5],
	["1e3", 1000],
	["007", "007"],
	["1.2.3", "1.2.3"],
	['"12"', "12"],
	['"a|b"', "a|b"],
	["red|blue", ["red", "blue"]],
	["red | blue |", ["red", "blue"]],
	["red|", ["red"]],
	['["red"]', ["red"]],
	["[XL]", "[XL]"],
	['19" rack', '19" rack'],
	['"half', '"half'],
])("reads the attribute %j as %j", (cell, value) => {
	expect(readAttribute(cell)).toEqual(value);
});

test.each(["1,5", "1.234,56", "-0,5"])(
	"rejects the attribute %j and explains both forms",
	(cell) => {
		expect(() => readAttribute(cell)).toThrow(CellError);
		expect(() => readAttribute(cell)).toThrow(/decimal point \(-?[\d.]+\), or text in quotes/);
	},
);

test("formats every attribute so that it is read as the same value", () => {
	const text = fc
		.string({ unit: fc.constantFrom(...'ab|"[]1.0,-e ä\\'), minLength: 1 })
		.map((one) => one.trim())
		.filter((one) => one !== "");
	const value = fc.oneof(
		text,
		fc.double({ noNaN: true, noDefaultInfinity: true }).map((n) => n || 0),
		fc.boolean(),
		fc.array(text, { minLength: 1, maxLength: 5 }),
	);
	fc.assert(
		fc.property(value, (one) => {
			expect(readAttribute(formatAttribute(one))).toEqual(one);
		}),
		{ numRuns: 1000 },
	);
});

test.each([
	["19.99", 19.99],
	["0", 0],
	["1234", 1234],
])("reads the price %j", (cell, price) => {
	expect(readPrice(cell)).toBe(price);
});

test.each([
	["19,99", /19\.99, not 19,99/],
	["1.234,50", /1234\.50, not 1\.234,50/],
	["1,234.50", /decimal point/],
	["-1", /decimal point/],
	["€ 5", /decimal point/],
])("rejects the price %j with an explanation", (cell, message) => {
	expect(() => readPrice(cell)).toThrow(message);
});

test("rejects a stock with decimals, separators or a sign", () => {
	expect(readStock("1200")).toBe(1200);
	for (const cell of ["1.5", "1,200", "-1", "many"])
		expect(() => readStock(cell)).toThrow(CellError);
});
