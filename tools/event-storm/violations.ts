/** Contents of the tables after a run. */
interface Aftermath {
	/** Ids of all events in the outbox. */
	readonly written: readonly string[];
	/** Ids of the events that every handler rejects. */
	readonly poison: ReadonlySet<string>;
	readonly groups: readonly {
		readonly name: string;
		readonly effects: readonly string[];
		readonly dead: readonly string[];
	}[];
}

/**
 * Violations, one line each. Every event must have taken effect exactly once in every group; poison
 * must have no effect and be a dead letter.
 */
export function violations({ written, poison, groups }: Aftermath): string[] {
	const known = new Set(written);
	return groups.flatMap(({ name, effects, dead }) => {
		const times = new Map<string, number>();
		for (const id of effects) times.set(id, (times.get(id) ?? 0) + 1);
		const deadLetters = new Set(dead);
		const wrong = written.flatMap((id) => {
			const [expected, found] = [poison.has(id) ? 0 : 1, times.get(id) ?? 0];
			const effect =
				found === expected
					? []
					: [`${name}: ${id} took effect ${found} times instead of ${expected}`];
			if (poison.has(id) && !deadLetters.has(id))
				return [...effect, `${name}: ${id} is poison but not a dead letter`];
			if (!poison.has(id) && deadLetters.has(id))
				return [...effect, `${name}: ${id} is a dead letter`];
			return effect;
		});
		const unknown = [...times.keys(), ...deadLetters]
			.filter((id) => !known.has(id))
			.map((id) => `${name}: ${id} is not in the outbox`);
		return [...wrong, ...unknown];
	});
}
