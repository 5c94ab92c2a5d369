/** Rows in the order of `ids`, with null for an ID that has no row. */
export function alignRows<Row extends { readonly id: string }>(
	ids: readonly string[],
	rows: readonly Row[],
): (Row | null)[] {
	const rowOf = new Map(rows.map((row) => [row.id, row]));
	return ids.map((id) => rowOf.get(id) ?? null);
}
