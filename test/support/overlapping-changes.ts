import { setImmediate as turn } from "node:timers/promises";
import { randomNumbers } from "./random.ts";

interface ChangeFuzzOptions {
	readonly seed: number;
	readonly writers: number;
	readonly readers: number;
	/** Number of writes by each writer. */
	readonly writes: number;
	/**
	 * Values in commit order, if `write` records them. Otherwise overlapping writes have no order.
	 */
	readonly commits?: readonly number[];
	/** Stores a new value. Resolves when the write is committed and the response has arrived. */
	write(value: number, writer: number, next: () => number): Promise<void>;
	/** @returns the value that a reader receives */
	read(reader: number, next: () => number): Promise<number>;
}
const READS_AFTERWARDS = 3;

interface Write {
	readonly sent: number;
	acknowledged: number;
}

/**
 * Changes one row concurrently while others read it. A value is stale if a later write was
 * acknowledged before the read began.
 * @returns a description of each stale read
 */
export async function fuzzChanges({
	seed,
	writers,
	readers,
	writes,
	commits,
	write,
	read,
}: ChangeFuzzOptions): Promise<string[]> {
	let clock = 1;
	let value = 0;
	let writing = writers;
	/** Writes by value. The row has the value 0 before the first write. */
	const history: Write[] = [{ sent: 0, acknowledged: 0 }];
	const stale: string[] = [];

	const isLater = (one: number, other: number) =>
		commits
			? commits.indexOf(one) > commits.indexOf(other)
			: history[one]!.sent > history[other]!.acknowledged;

	async function writeAll(writer: number): Promise<void> {
		const next = randomNumbers(seed + writer);
		for (let i = 0; i < writes; i++) {
			const own = ++value;
			const entry: Write = { sent: clock++, acknowledged: Number.POSITIVE_INFINITY };
			history[own] = entry;
			await write(own, writer, next);
			entry.acknowledged = clock++;
		}
		writing--;
	}
	async function readAll(reader: number): Promise<void> {
		const next = randomNumbers(seed + 1000 + reader);
		// Reads after the last write must return the final value.
		for (let left = READS_AFTERWARDS; left > 0; await turn()) {
			if (writing === 0) left--;
			const sent = clock++;
			const found = await read(reader, next);
			const later = history.findIndex(
				({ acknowledged }, one) => acknowledged < sent && isLater(one, found),
			);
			if (later >= 0)
				stale.push(`reader ${reader} received ${found} after ${later} was acknowledged`);
		}
	}
	await Promise.all([
		...Array.from({ length: writers }, (_, writer) => writeAll(writer)),
		...Array.from({ length: readers }, (_, reader) => readAll(reader)),
	]);
	return stale;
}
