import { median } from "../bench/figures.ts";
import { residentMemory } from "../bench/processes.ts";

const EVERY_MS = 1000;

/** Resident memory of a process, in megabytes. */
export interface MemoryUse {
	readonly name: string;
	/** Median of the second third of the rounds: caches, pools and heap have reached their size. */
	readonly warm: number;
	/** Median of the last third. */
	readonly end: number;
	readonly flat: boolean;
}
/**
 * Each round sends the same kinds of requests, so a leak grows by the same amount in each third.
 * The memory of V8 and malloc varies by some tens of megabytes in any process.
 */
const isFlat = (warm: number, end: number) => end <= warm * 1.15 + 16;

/** Samples the memory of processes once per second. */
export function watchMemory(
	processes: readonly { readonly name: string; readonly pid: number | undefined }[],
) {
	const rounds: Map<string, number[]>[] = [new Map()];
	function sample(): void {
		for (const { name, pid } of processes) {
			const found = pid === undefined ? undefined : residentMemory(pid);
			if (found) rounds.at(-1)!.set(name, [...(rounds.at(-1)!.get(name) ?? []), found]);
		}
	}
	const timer = setInterval(sample, EVERY_MS);
	return {
		/** Starts the next round. */
		nextRound(): void {
			sample();
			rounds.push(new Map());
		},
		stop(): MemoryUse[] {
			clearInterval(timer);
			const done = rounds.slice(0, -1);
			const third = Math.floor(done.length / 3);
			const medianOf = (part: typeof done, name: string) =>
				median(part.flatMap((round) => round.get(name) ?? []));
			return processes.map(({ name }) => {
				const [warm, end] = [
					medianOf(done.slice(-2 * third, -third), name),
					medianOf(done.slice(-third), name),
				];
				return { name, warm, end, flat: isFlat(warm, end) };
			});
		},
	};
}
