/** What each table holds after a storm. */
export interface Aftermath {
	/** Ids of what was written, as the outbox has them. */
	readonly written: readonly string[];
	/** Those of them that no handler can take. */
	readonly poison: ReadonlySet<string>;
	readonly groups: readonly {
		readonly name: string;
		readonly effects: readonly string[];
		readonly dead: readonly string[];
	}[];
}

/** What is wrong, a line each: everything has to have taken effect exactly once in every group, and poison not at all. */
export function violations({ written, poison, groups }: Aftermath): string[] {
	const known = new Set(written);
	return groups.flatMap(({ name, effects, dead }) => {
		const times = new Map<string, number>();
		for (const id of effects) times.set(id, (times.get(id) ?? 0) + 1);
		const buried = new Set(dead);
		const wrong = written.flatMap((id) => {
			const [expected, found] = [poison.has(id) ? 0 : 1, times.get(id) ?? 0];
			const effect =
				found === expected
					? []
					: [`${name}: ${id} took effect ${found} times instead of ${expected}`];
			if (poison.has(id) && !buried.has(id))
				return [...effect, `${name}: ${id} is poison and no dead letter`];
			if (!poison.has(id) && buried.has(id)) return [...effect, `${name}: ${id} is a dead letter`];
			return effect;
		});
		const strange = [...times.keys(), ...buried]
			.filter((id) => !known.has(id))
			.map((id) => `${name}: ${id} was never written`);
		return [...wrong, ...strange];
	});
}
