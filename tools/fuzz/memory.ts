import { residentMemory } from "../bench/processes.ts";

const EVERY_MS = 1000;

/** What a process held, in megabytes of resident memory. */
export interface Held {
	readonly name: string;
	/** In the second third of the rounds: caches and pools are full, and V8 has given the heap the size that the work needs. */
	readonly warm: number;
	/** In the last third. */
	readonly end: number;
	readonly flat: boolean;
}
/**
 * Each round sends the same kinds of requests, so a process that keeps something of each grows from one third to the next by as much as it did
 * before. What V8 and malloc take for themselves sways by some tens of megabytes, of any process alike.
 */
const isFlat = (warm: number, end: number) => end <= warm * 1.15 + 16;

/** Looks at processes once a second. */
export function watchMemory(
	processes: readonly { readonly name: string; readonly pid: number | undefined }[],
) {
	const rounds: Map<string, number[]>[] = [new Map()];
	function look(): void {
		for (const { name, pid } of processes) {
			const found = pid === undefined ? undefined : residentMemory(pid);
			if (found) rounds.at(-1)!.set(name, [...(rounds.at(-1)!.get(name) ?? []), found]);
		}
	}
	const timer = setInterval(look, EVERY_MS);
	return {
		/** The next round begins. */
		turn(): void {
			look();
			rounds.push(new Map());
		},
		stop(): Held[] {
			clearInterval(timer);
			const done = rounds.slice(0, -1);
			const third = Math.floor(done.length / 3);
			const middle = (part: typeof done, name: string) =>
				median(part.flatMap((round) => round.get(name) ?? []));
			return processes.map(({ name }) => {
				const [warm, end] = [
					middle(done.slice(-2 * third, -third), name),
					middle(done.slice(-third), name),
				];
				return { name, warm, end, flat: isFlat(warm, end) };
			});
		},
	};
}

const median = (values: readonly number[]): number =>
	values.toSorted((a, b) => a - b)[values.length >> 1] ?? Number.NaN;
