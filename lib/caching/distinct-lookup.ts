/**
 * Looks up each key once.
 * @param lookup returns the values in the order of its keys
 * @returns the values by key; null for a key without a value
 */
export async function lookUpDistinct<Value>(
	keys: readonly string[],
	lookup: (distinct: string[]) => Promise<readonly (Value | null)[]>,
): Promise<Map<string, Value | null>> {
	const distinct = [...new Set(keys)];
	const values = await lookup(distinct);
	return new Map(distinct.map((key, i) => [key, values[i] ?? null]));
}
