import { expect, test } from "@jest/globals";
import { type Entry, MAX_ROW_BYTES } from "./entry.ts";
import { formatNdjson, readNdjson } from "./ndjson.ts";

async function* chunks(text: string | Buffer, size: number): AsyncGenerator<Uint8Array> {
	const bytes = Buffer.from(text as string);
	for (let i = 0; i < bytes.length; i += size) yield bytes.subarray(i, i + size);
}
async function read(text: string | Buffer, size = 7): Promise<Entry[]> {
	const entries: Entry[] = [];
	for await (const group of readNdjson(chunks(text, size))) entries.push(...group);
	return entries;
}

test.each([1, 2, 3, 1000])("reads lines in chunks of %d bytes", async (size) => {
	expect(await read('\ufeff{"a":"ä"}\r\n\n{"b":"€\\n"}', size)).toEqual([
		{ row: 1, value: { a: "ä" } },
		{ row: 3, value: { b: "€\n" } },
	]);
});

test("reports lines that are not objects, and continues", async () => {
	const problem = "The line is not a JSON object";
	expect(await read('[1]\n{"a":\nnull\n1\n{"a":1}\n')).toEqual([
		...[1, 2, 3, 4].map((row) => ({ row, problem })),
		{ row: 5, value: { a: 1 } },
	]);
});

test("reports a line that is too long or not UTF-8, and continues", async () => {
	const bytes = Buffer.concat([
		Buffer.from(`{"a":"${"x".repeat(MAX_ROW_BYTES)}"}\n{"a":"`),
		Buffer.from([0xff]),
		Buffer.from('"}\n{"a":1}\n'),
	]);
	expect(await read(bytes, 5000)).toEqual([
		{ row: 1, problem: expect.stringContaining("bytes") },
		{ row: 2, problem: expect.stringContaining("not UTF-8") },
		{ row: 3, value: { a: 1 } },
	]);
});

test("restores every value that it has formatted", async () => {
	const values = [{ a: "x\n\r\t\u2028\"'" }, { b: [1, true, null], c: { d: "=1" } }];
	expect(await read(formatNdjson(values))).toEqual(
		values.map((value, i) => ({ row: i + 1, value })),
	);
});
