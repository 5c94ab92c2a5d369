import { expect, test } from "@jest/globals";
import { ProblemError } from "../../../../clients/typescript/src/index.ts";
import { percentOf } from "../../format.ts";
import { atRows, rateChanges, readRates } from "./rate-values.ts";

test.each([
	["19", 0.19],
	["8.1", 0.081],
	["7.0001", 0.070001],
	["0", 0],
	["100", 1],
	["7.00001", 0.0700001],
])("%s percent is the rate %d", (percent: string, rate: number) => {
	const values = new FormData();
	values.set("[0].rate", percent);
	expect(readRates(values)[0]!.rate).toBe(rate);
});

test("every rate is shown as a percentage that gives the same rate", () => {
	for (let millionths = 0; millionths <= 1_000_000; millionths += 997) {
		const rate = millionths / 1_000_000;
		const values = new FormData();
		values.set("[0].rate", String(percentOf(rate)));
		expect(readRates(values)[0]!.rate).toBe(rate);
	}
});

test("blank regions and categories are null", () => {
	const values = new FormData();
	for (const [name, value] of Object.entries({
		country: "de",
		region: "",
		category: " ",
		name: "VAT",
		rate: "7",
	}))
		values.set(`[0].${name}`, value);
	expect(readRates(values)).toEqual([
		{ country: "DE", region: null, category: null, name: "VAT", rate: 0.07 },
	]);
});

test("two equal rates are reported at both rows", () => {
	const document = { code: "DUPLICATE_RATE", detail: "Twice", positions: [1, 4] };
	const problem = new ProblemError(409, document, new Headers(), 1);
	expect(atRows(problem)).toMatchObject({
		detail: "Twice",
		errors: [
			{ field: "[1].country", message: expect.stringContaining("Row 5") },
			{ field: "[4].country", message: expect.stringContaining("Row 2") },
		],
	});
});

test("describes the rates that another user has added and removed", () => {
	const rate = { country: "DE", region: null, category: null, name: "VAT", rate: 0.19 };
	const books = { ...rate, category: "Books", rate: 0.07 };
	expect(rateChanges([rate, books], [{ ...rate, rate: 0.2 }, books])).toEqual({
		added: ["DE, VAT, 20 %"],
		removed: ["DE, VAT, 19 %"],
	});
});
