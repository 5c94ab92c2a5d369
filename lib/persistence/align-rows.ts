/** Rows in the order of `keys`, with null for a key that has no row. */
export function alignBy<Row, Key>(
	keys: readonly Key[],
	rows: readonly Row[],
	keyOf: (row: Row) => Key,
): (Row | null)[] {
	const rowOf = new Map(rows.map((row) => [keyOf(row), row]));
	return keys.map((key) => rowOf.get(key) ?? null);
}

/** Rows in the order of `ids`, with null for an ID that has no row. */
export const alignRows = <Row extends { readonly id: string }>(
	ids: readonly string[],
	rows: readonly Row[],
): (Row | null)[] => alignBy(ids, rows, ({ id }) => id);
