import { parse } from "csv-parse";
import { stringify } from "csv-stringify/sync";
import { type Entry, MAX_ROW_BYTES, Utf8Check } from "./entry.ts";
import { escapeFormula, unescapeFormula } from "./formulas.ts";

/** A CSV file that is being read: its header, and its rows as lists of cells. */
interface CsvFile {
	readonly columns: readonly string[];
	/** Rows in order, as lists with one cell per column. Blank rows are counted and omitted. */
	readonly rows: AsyncGenerator<Entry[]>;
}

/** The header cannot be used, so that no row can be read. */
export class HeaderError extends Error {}

/**
 * Reads a CSV file (RFC 4180) in UTF-8, with or without a byte order mark. Rows end with CRLF or
 * LF; cells in quotes may contain both. Escaped formulas are restored, see `formulas.ts`.
 * @param bytes may be of any size; at most a few chunks are in memory
 * @throws HeaderError for a header that is missing, or has a blank or repeated column
 */
export async function readCsv(bytes: AsyncIterable<Uint8Array>): Promise<CsvFile> {
	const source = parseRows(bytes);
	const first = await source.next();
	if (first.done) throw new HeaderError("The file is empty: its first row must name the columns");
	const [header, ...rest] = first.value as [Entry, ...Entry[]];
	if ("problem" in header) throw new HeaderError(header.problem);
	const columns = (header.value as string[]).map((cell) => cell.trim());
	assertColumns(columns);
	return { columns, rows: dataRows(rest, source, columns.length) };
}

function assertColumns(columns: string[]): void {
	// Spreadsheets append delimiters for columns that once had content.
	while (columns.length > 1 && columns.at(-1) === "") columns.pop();
	const [only = ""] = columns;
	if (columns.length === 1 && /[;\t]/.test(only))
		throw new HeaderError("The header is one cell: columns must be separated by commas");
	const blank = columns.indexOf("");
	if (blank >= 0) throw new HeaderError(`Column ${blank + 1} of the header has no name`);
	const seen = new Set<string>();
	const repeated = columns.find((name) => seen.size === seen.add(name).size);
	if (repeated) throw new HeaderError(`The header names the column "${repeated}" twice`);
}

async function* dataRows(
	first: readonly Entry[],
	source: AsyncGenerator<Entry[]>,
	width: number,
): AsyncGenerator<Entry[]> {
	yield first.flatMap((entry) => toDataRow(entry, width));
	for await (const entries of source) yield entries.flatMap((entry) => toDataRow(entry, width));
}

/** A row with one cell per column; none for a blank row. */
function toDataRow(entry: Entry, width: number): Entry | [] {
	if ("problem" in entry) return entry;
	const cells = entry.value as string[];
	if (cells.every((cell) => cell.trim() === "")) return [];
	while (cells.length > width && cells.at(-1) === "") cells.pop();
	return cells.length === width
		? { row: entry.row, value: cells.map(unescapeFormula) }
		: {
				row: entry.row,
				problem: `The row has ${cells.length} cells, but the header has ${width}`,
			};
}

/** Errors after which the following row can still be found. */
const RECOVERABLE = new Set(["INVALID_OPENING_QUOTE"]);
const PROBLEMS: Readonly<Record<string, string>> = {
	INVALID_OPENING_QUOTE:
		"A cell contains a quote: put the cell in quotes and write the quote twice",
	CSV_INVALID_CLOSING_QUOTE:
		"A quote must end its cell, or be written twice; the rest of the file was not read",
	CSV_QUOTE_NOT_CLOSED: "A cell in quotes does not end; the rest of the file was not read",
	CSV_MAX_RECORD_SIZE:
		`The row has more than ${MAX_ROW_BYTES} bytes, ` +
		"which may be a quote without an end; the rest of the file was not read",
};

/**
 * All rows including the header, in groups that are not empty: a promise for each row would cost
 * more than parsing it. Ends after a row behind which no row can be found.
 */
async function* parseRows(bytes: AsyncIterable<Uint8Array>): AsyncGenerator<Entry[]> {
	const utf8 = new Utf8Check();
	let entries: Entry[] = [];
	let row = 0;
	let isLost = false;
	const parser = parse({
		bom: true,
		relax_column_count: true,
		record_delimiter: ["\r\n", "\n"],
		skip_records_with_error: true,
		max_record_size: MAX_ROW_BYTES,
		on_record: (cells) => {
			const problem = utf8.damageOf(cells);
			row++;
			if (!isLost) entries.push(problem ? { row, problem } : { row, value: cells });
			// As if the next row were the first: csv-parse creates an error, with its stack, for each row
			// whose length differs from that of the first.
			(parser.info as { records: number }).records = 0;
			return null;
		},
		on_skip: (error): undefined => {
			const code = error?.code ?? "";
			const problem = PROBLEMS[code] ?? "The row is not valid CSV; the rest was not read";
			row++;
			if (!isLost) entries.push({ row, problem });
			isLost ||= !RECOVERABLE.has(code);
		},
	}).resume();
	// The callback of a write receives the error; without a listener it would end the process.
	parser.on("error", () => undefined);
	const take = () => {
		const taken = entries;
		entries = [];
		return taken;
	};
	for await (const chunk of utf8.checked(bytes)) {
		await new Promise<void>((resolve, reject) => {
			parser.write(chunk, (error) => (error ? reject(error) : resolve()));
		});
		if (entries.length > 0) yield take();
		if (isLost) return;
	}
	await new Promise<void>((resolve) => {
		parser.end(() => resolve());
	});
	if (entries.length > 0) yield take();
}

/** Formats rows as CSV that end with CRLF. Escapes text that a spreadsheet would execute. */
export const formatCsv = (rows: readonly (readonly string[])[]): string =>
	stringify(
		rows.map((cells) => cells.map(escapeFormula)),
		{ record_delimiter: "\r\n", quoted_match: /[\r\n]|^\s|\s$/ },
	);

/** Byte order mark, by which Excel recognizes UTF-8. */
export const BYTE_ORDER_MARK = "\ufeff";
