export interface OrderedGroup<K, T> {
	readonly key: K;
	readonly members: T[];
}

/**
 * Groups what tells of several subjects, by key and in as few groups as keep what is said of one subject in its order: whoever takes the groups one after
 * the other takes the members of each subject as they stood.
 * @param keyOf undefined for what is left out
 * @param limit the sum of sizes that a group does not exceed, but for a member that does so alone
 */
export function orderedGroups<K, T extends { readonly subject: string }>(
	found: readonly T[],
	keyOf: (one: T) => K | undefined,
	limit: { readonly max: number; sizeOf(one: T): number } = { max: 0, sizeOf: () => 0 },
): OrderedGroup<K, T>[] {
	const groups: (OrderedGroup<K, T> & { size: number })[] = [];
	/** Where the last member about a subject is; what comes after it must not go before. */
	const latest = new Map<string, number>();
	for (const one of found) {
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
