import { expect, test } from "@jest/globals";
import { type Format, formatOf, rowCounter } from "./import-file.ts";

test.each([
	["products.csv", "csv"],
	["PRODUCTS.CSV.GZ", "csv"],
	["a.b.ndjson", "ndjson"],
	["a.jsonl", "ndjson"],
	["a.xlsx", undefined],
	["csv", undefined],
])("the format of %s is %s", (name: string, format: string | undefined) => {
	expect(formatOf(name)).toBe(format);
});

test.each<[string, Format, number]>([
	["sku,name\nA,a\nB,b\n", "csv", 2],
	["sku,name\r\nA,a\r\nB,b", "csv", 2],
	['sku,description\nA,"one\ntwo ""three""\nfour"\nB,b\n', "csv", 2],
	["sku\n", "csv", 0],
	["", "csv", 0],
	['{"sku":"A"}\n\n{"sku":"B\\""}\n', "ndjson", 2],
	['{"sku":"A"}', "ndjson", 1],
])("%j as %s has %d rows", async (text: string, format: Format, rows: number) => {
	const counter = rowCounter(format);
	const passed = new Blob([text]).stream().pipeThrough(counter.stream);
	expect(await new Response(passed).text()).toBe(text);
	expect(counter.count()).toBe(rows);
});
