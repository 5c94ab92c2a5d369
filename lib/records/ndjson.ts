import { type Entry, MAX_ROW_BYTES, Utf8Check } from "./entry.ts";

const NEWLINE = 10;

/**
 * Reads newline-delimited JSON in UTF-8, with or without a byte order mark. Each line is an object;
 * blank lines are counted and omitted.
 */
export async function* readNdjson(bytes: AsyncIterable<Uint8Array>): AsyncGenerator<Entry[]> {
	let row = 0;
	const utf8 = new Utf8Check();
	for await (const lines of linesOf(utf8.checked(bytes)))
		yield lines.flatMap((line) => {
			row++;
			if (line === undefined)
				return { row, problem: `The line has more than ${MAX_ROW_BYTES} bytes` };
			const text = (row === 1 ? line.replace(/^\ufeff/, "") : line).trim();
			const problem = utf8.damageOf([text]);
			if (problem) return { row, problem };
			return text === "" ? [] : toEntry(row, text);
		});
}

function toEntry(row: number, text: string): Entry {
	try {
		const value: unknown = JSON.parse(text);
		if (typeof value === "object" && value !== null && !Array.isArray(value)) return { row, value };
	} catch {
		// The same problem as JSON that is not an object.
	}
	return { row, problem: "The line is not a JSON object" };
}

/**
 * Lines without their ends, in groups; undefined for a line that is too long, whose bytes are
 * dropped.
 */
async function* linesOf(bytes: AsyncIterable<Uint8Array>): AsyncGenerator<(string | undefined)[]> {
	let parts: Uint8Array[] = [];
	let size = 0;
	const add = (part: Uint8Array) => {
		size += part.length;
		if (size <= MAX_ROW_BYTES) parts.push(part);
	};
	const take = () => {
		const line = size > MAX_ROW_BYTES ? undefined : Buffer.concat(parts).toString("utf8");
		[parts, size] = [[], 0];
		return line;
	};
	for await (const chunk of bytes) {
		const lines: (string | undefined)[] = [];
		let start = 0;
		for (let end = chunk.indexOf(NEWLINE); end >= 0; end = chunk.indexOf(NEWLINE, start)) {
			add(chunk.subarray(start, end));
			start = end + 1;
			lines.push(take());
		}
		// A copy: a part of a chunk would keep all of it in memory.
		add(Buffer.from(chunk.subarray(start)));
		yield lines;
	}
	if (size > 0) yield [take()];
}

/** Formats values as newline-delimited JSON. */
export const formatNdjson = (values: readonly object[]): string =>
	values.map((value) => `${JSON.stringify(value)}\n`).join("");
