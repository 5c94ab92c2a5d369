import { randomNumbers } from "../../test/support/random.ts";

/** A deterministic source of random decisions. */
export interface Random {
	/** A number in [0, 1). */
	next(): number;
	between(low: number, high: number): number;
	whole(low: number, high: number): number;
	pick<T>(all: readonly T[]): T;
	/** One of the keys, with a probability proportional to its weight. */
	weighted<K extends string>(weights: Readonly<Partial<Record<K, number>>>): K;
}

export function random(seed: number): Random {
	const next = randomNumbers(seed);
	const between = (low: number, high: number) => low + next() * (high - low);
	return {
		next,
		between,
		whole: (low, high) => Math.floor(between(low, high + 1)),
		pick: (all) => all[Math.floor(next() * all.length)]!,
		weighted<K extends string>(weights: Readonly<Partial<Record<K, number>>>) {
			const entries = Object.entries(weights) as [K, number][];
			let left = next() * entries.reduce((sum, [, weight]) => sum + weight, 0);
			for (const [key, weight] of entries) {
				left -= weight;
				if (left < 0) return key;
			}
			return entries[0]![0];
		},
	};
}
