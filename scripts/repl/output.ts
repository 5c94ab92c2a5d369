/** Result of a command: the value for `--json`, and the text for people. */
export interface Output {
	readonly value: unknown;
	readonly text: string;
}

type Cell = string | number;

/** Aligned columns, one line per row. */
export function columns(rows: readonly (readonly Cell[])[]): string {
	const widths = (rows[0] ?? []).map((_, i) =>
		Math.max(...rows.map((row) => String(row[i]).length)),
	);
	return rows
		.map((row) =>
			row
				.map((cell, i) => String(cell).padEnd(widths[i]!))
				.join("  ")
				.trimEnd(),
		)
		.join("\n");
}

/** A table with one line per record. `empty` replaces it if there are no records. */
export function table<R>(
	records: readonly R[],
	headers: readonly string[],
	cells: (record: R) => readonly Cell[],
	empty: string,
): Output {
	const text = records.length === 0 ? empty : columns([headers, ...records.map(cells)]);
	return { value: records, text };
}

export const json = (value: unknown): string => JSON.stringify(value ?? null, null, 2);
