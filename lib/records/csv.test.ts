import { expect, jest, test } from "@jest/globals";
import fc from "fast-check";
import { BYTE_ORDER_MARK, formatCsv, HeaderError, readCsv } from "./csv.ts";
import { type Entry, MAX_ROW_BYTES } from "./entry.ts";

/** The bytes of a text, in chunks of `size` bytes. */
async function* chunks(text: string | Buffer, size = 7): AsyncGenerator<Uint8Array> {
	const bytes = Buffer.from(text as string);
	for (let i = 0; i < bytes.length; i += size) yield bytes.subarray(i, i + size);
}
async function read(text: string | Buffer, size?: number) {
	const { columns, rows } = await readCsv(chunks(text, size));
	const entries: Entry[] = [];
	for await (const group of rows) entries.push(...group);
	return { columns, entries };
}
const problemsOf = (entries: readonly Entry[]) =>
	entries.flatMap((entry) => ("problem" in entry ? [[entry.row, entry.problem]] : []));
const valuesOf = (entries: readonly Entry[]) =>
	entries.flatMap((entry) => ("value" in entry ? [[entry.row, entry.value]] : []));

test.each([
	["CRLF", "sku,name\r\nA,One\r\nB,Two\r\n"],
	["LF", "sku,name\nA,One\nB,Two\n"],
	["no end of the last line", "sku,name\nA,One\nB,Two"],
	["mixed ends of lines", "sku,name\r\nA,One\nB,Two\r\n"],
	["a byte order mark", "\ufeffsku,name\r\nA,One\r\nB,Two\r\n"],
	["blanks around names of columns", " sku ,name \nA,One\nB,Two\n"],
	["blank columns at the end", "sku,name,,\nA,One,,\nB,Two,,\n"],
])("reads a file with %s", async (_, text) => {
	const expected = {
		columns: ["sku", "name"],
		entries: [
			{ row: 2, value: ["A", "One"] },
			{ row: 3, value: ["B", "Two"] },
		],
	};
	for (const size of [1, 2, 3, 1000]) expect(await read(text, size)).toEqual(expected);
});

test("reads quotes, commas and ends of lines in a cell, and counts it as one row", async () => {
	const { entries } = await read('sku,name\r\nA,"One, ""two""\r\nand\nthree"\r\nB,x\r\n');
	expect(entries).toEqual([
		{ row: 2, value: ["A", 'One, "two"\r\nand\nthree'] },
		{ row: 3, value: ["B", "x"] },
	]);
});

test("counts blank rows and omits them", async () => {
	const { entries } = await read("sku,name\n\n,\nA,One\n , \nB,Two\n");
	expect(valuesOf(entries).map(([row]) => row)).toEqual([4, 6]);
});

test("reports rows with too few or too many cells, and continues", async () => {
	const { entries } = await read("sku,name\nA\nB,b,c\nC,c\n");
	expect(problemsOf(entries)).toEqual([
		[2, "The row has 1 cells, but the header has 2"],
		[3, "The row has 3 cells, but the header has 2"],
	]);
	expect(valuesOf(entries)).toEqual([[4, ["C", "c"]]]);
});

test("reports a quote inside a cell without quotes, and continues", async () => {
	const { entries } = await read('sku,name\nA,19" rack\nB,b\n');
	expect(problemsOf(entries)).toEqual([[2, expect.stringContaining("contains a quote")]]);
	expect(valuesOf(entries)).toEqual([[3, ["B", "b"]]]);
});

test.each([
	["a cell in quotes that does not end", 'sku,name\nA,a\nB,"b\nC,c\n', 3],
	["text after the end of a cell in quotes", 'sku,name\nA,a\nB,"b"c\nC,c\n', 3],
	["a row that is too large", `sku,name\nA,a\nB,${"x".repeat(2 * MAX_ROW_BYTES)}\nC,c\n`, 3],
	["a quote before a large file", `sku,name\nA,a\nB,"b\n${"C,c\n".repeat(MAX_ROW_BYTES)}`, 3],
])("reports %s and that the rest was not read", async (_, text, row) => {
	const { entries } = await read(text, 5000);
	expect(entries).toEqual([
		{ row: 2, value: ["A", "a"] },
		{ row, problem: expect.stringContaining("the rest of the file was not read") },
	]);
});

test("reports rows that are not UTF-8, and continues", async () => {
	const latin1 = Buffer.concat([
		Buffer.from("sku,name\nA,"),
		Buffer.from([0xe4]),
		Buffer.from("\nB,ä\n"),
	]);
	const { entries } = await read(latin1);
	expect(problemsOf(entries)).toEqual([[2, expect.stringContaining("not UTF-8")]]);
	expect(valuesOf(entries)).toEqual([[3, ["B", "ä"]]]);
});

test.each([
	["an empty file", "", /is empty/],
	["semicolons", "sku;name\nA;a\n", /separated by commas/],
	["a blank column", "sku,,name\n", /Column 2 of the header has no name/],
	["a repeated column", "sku,name,sku\n", /"sku" twice/],
	["a quote without an end", '"sku,name\n', /does not end/],
])("rejects a header with %s", async (_, text, message) => {
	const failure = await readCsv(chunks(text)).catch((error) => error);
	expect(failure).toBeInstanceOf(HeaderError);
	expect(failure.message).toMatch(message);
});

test("forwards an error of the source", async () => {
	async function* broken() {
		yield Buffer.from("sku\nA\n");
		throw new Error("broken");
	}
	const drain = async () => {
		const { rows } = await readCsv(broken());
		for await (const _ of rows);
	};
	await expect(drain()).rejects.toThrow("broken");
});

test("restores every text that it has formatted", async () => {
	const text = fc.string({ unit: fc.constantFrom(..."ab'=+-@\t\r\n\", ä€😀\ufffd;|\\1.") });
	const rows = fc.array(fc.tuple(text, text), { minLength: 1 });
	await fc.assert(
		fc.asyncProperty(rows, fc.integer({ min: 1, max: 30 }), async (written, size) => {
			const whole = written.map(([a, b]) => ["key", a, b]);
			const csv = BYTE_ORDER_MARK + formatCsv([["k", "a", "b"], ...whole]);
			const { columns, entries } = await read(csv, size);
			expect(columns).toEqual(["k", "a", "b"]);
			expect(entries).toEqual(whole.map((value, i) => ({ row: i + 2, value })));
		}),
	);
});

test.each([
	["=1+1", "'=1+1"],
	["@SUM(A1)", "'@SUM(A1)"],
	["+49 30", "'+49 30"],
	["-x", "'-x"],
	["'=x", "''=x"],
	["-12.5", "-12.5"],
	["'quoted'", "'quoted'"],
	["a=b", "a=b"],
])("formats %j so that a spreadsheet does not execute it", (text, cell) => {
	expect(formatCsv([[text]])).toBe(`${cell}\r\n`);
});

test("reads rows of any length without an error object for each", async () => {
	const captured = jest.spyOn(Error, "captureStackTrace");
	const { entries } = await read(`sku,name\n${"\n\nA\nA,B,C\n".repeat(100)}A,One\n`, 1000);
	const count = captured.mock.calls.length;
	captured.mockRestore();
	expect(problemsOf(entries)).toHaveLength(200);
	expect(valuesOf(entries)).toEqual([[402, ["A", "One"]]]);
	expect(count).toBe(0);
});

test("reads a header of many columns", async () => {
	const names = Array.from({ length: 20_000 }, (_, i) => `c${i}`);
	expect((await read(`${names.join()}\n`, 10_000)).columns).toEqual(names);
	await expect(read(`${names.join()},c7\n`, 10_000)).rejects.toThrow('names the column "c7" twice');
});
