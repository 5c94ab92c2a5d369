import { setImmediate as turn } from "node:timers/promises";
import { fuzzChanges } from "../../../test/support/overlapping-changes.ts";
import type { Cache } from "../lease-cache.ts";

interface Row {
	readonly id: string;
	readonly price: number;
}

/**
 * Runs overlapping changes of one row on two nodes; some die between commit and release.
 * @param name of a service that no other run uses
 * @returns a description of each stale read
 */
export function overlappingChanges(
	seed: number,
	{ one, other }: { readonly one: Cache; readonly other: Cache },
	name: string,
): Promise<string[]> {
	const nodes = [one.of<Row>(name, 60_000), other.of<Row>(name, 60_000)];
	let committed: Row = { id: "a", price: 0 };
	const pauses = async (next: () => number) => {
		// Most are short and a few long, so that whole changes happen within another one.
		for (let turns = Math.floor(40 * next() ** 4); turns > 0; turns--) {
			await turn();
			// A ping lasts as long as a command.
			await one.ping();
		}
	};
	const commits: number[] = [];
	return fuzzChanges({
		seed,
		commits,
		writers: 3,
		readers: 4,
		writes: 3,
		async write(value, writer, next) {
			const change = async () => {
				await pauses(next);
				committed = { id: "a", price: value };
				commits.push(value);
				if (next() < 0.3)
					throw Object.assign(new Error("Connection terminated"), { code: "ECONNRESET" });
				await pauses(next);
			};
			await nodes[writer % 2]!.whileInvalidated(["a"], change).catch(() => undefined);
			await pauses(next);
		},
		async read(reader, next) {
			const load = async () => {
				const read = committed;
				await pauses(next);
				return [read];
			};
			const cached = nodes[reader % 2]!;
			if (reader > 1)
				return cached.readResult("price", 60_000, async () => (await load())[0]!.price);
			return (await cached.readThrough(["a"], load))[0]!.price;
		},
	});
}
