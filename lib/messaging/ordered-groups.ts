interface OrderedGroup<K, T> {
	readonly key: K;
	readonly members: T[];
}

/**
 * Splits elements into the fewest groups by key that keep each subject's order when the groups are
 * processed one after the other.
 * @param keyOf returns undefined for elements to omit
 * @param limit maximum total size of a group; a single larger element gets its own group
 */
export function orderedGroups<K, T extends { readonly subject: string }>(
	elements: readonly T[],
	keyOf: (one: T) => K | undefined,
	limit: { readonly max: number; sizeOf(one: T): number } = { max: 0, sizeOf: () => 0 },
): OrderedGroup<K, T>[] {
	const groups: (OrderedGroup<K, T> & { size: number })[] = [];
	/** Index of the last group of each subject; later elements cannot be in an earlier group. */
	const latest = new Map<string, number>();
	for (const one of elements) {
		const key = keyOf(one);
		if (key === undefined) continue;
		const size = limit.sizeOf(one);
		const earliest = latest.get(one.subject) ?? 0;
		const open = groups.findIndex(
			(group, i) => i >= earliest && group.key === key && group.size + size <= limit.max,
		);
		const index = open >= 0 ? open : groups.push({ key, members: [], size: 0 }) - 1;
		const group = groups[index]!;
		group.members.push(one);
		group.size += size;
		latest.set(one.subject, index);
	}
	return groups;
}
