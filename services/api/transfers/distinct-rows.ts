import { commonError } from "../../../lib/contracts/errors.ts";
import type { Entry } from "../../../lib/records/entry.ts";
import type { UploadReport } from "./upload-report.ts";

/** Maximum number of rows in a file, because the keys of all rows are in memory. */
const MAX_ROWS = 1_000_000;

export interface Row {
	readonly row: number;
	readonly value: unknown;
}

/**
 * The rows of a file that can be read and whose key occurs first. All others are reported.
 * @throws PAYLOAD_TOO_LARGE after {@link MAX_ROWS} rows
 */
export async function* distinctRows(
	groups: AsyncIterable<readonly Entry[]>,
	columns: readonly string[],
	key: string,
	report: UploadReport,
): AsyncGenerator<Row[]> {
	const column = columns.indexOf(key);
	const seen = new Map<string, number>();
	for await (const entries of groups) {
		const distinct: Row[] = [];
		for (const entry of entries) {
			const { row } = entry;
			if (row > MAX_ROWS + 1)
				throw commonError(
					"PAYLOAD_TOO_LARGE",
					undefined,
					`Divide the file: ${MAX_ROWS} rows at most`,
				);
			if ("problem" in entry) {
				report.fail({ row, key: null, field: null, message: entry.problem });
				continue;
			}
			const own = keyOf(entry.value, column, key);
			const earlier = own === undefined ? undefined : seen.get(own);
			if (own !== undefined && earlier !== undefined) {
				const message = `Row ${earlier} has the same ${key}; this row was not applied`;
				report.fail({ row, key: own, field: key, message });
				continue;
			}
			if (own !== undefined) seen.set(own, row);
			distinct.push(entry);
		}
		yield distinct;
	}
}

/** Characters of a key. The action rejects rows with longer ones. */
const MAX_KEY_LENGTH = 200;
/** The key of a row; undefined if it has none, or one that is too long for any row to be valid. */
function keyOf(value: unknown, column: number, key: string): string | undefined {
	const found = Array.isArray(value) ? value[column] : (value as Record<string, unknown>)[key];
	if (typeof found !== "string" || found.length > MAX_KEY_LENGTH) return undefined;
	return found.trim() || undefined;
}
