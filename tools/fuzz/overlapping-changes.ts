import { setImmediate as turn } from "node:timers/promises";
import { random } from "./requests.ts";

export interface ChangeFuzzOptions {
	readonly seed: number;
	readonly writers: number;
	readonly readers: number;
	/** Writes of each writer. */
	readonly writes: number;
	/** Values in the order of their commits, if `write` observes it; otherwise only writes that do not overlap have an order. */
	readonly commits?: readonly number[];
	/** Stores a value that was never stored before. Fulfils when the write is committed and answered. */
	write(value: number, writer: number, next: () => number): Promise<void>;
	/** @returns the value that a reader receives */
	read(reader: number, next: () => number): Promise<number>;
}
const READS_AFTERWARDS = 3;

interface Write {
	readonly sent: number;
	answered: number;
}

/**
 * Overlapping changes of one row while others read it. A value is stale if a later write had been
 * answered before the read began.
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
	/** By value; the row has the value 0 before the first write. */
	const history: Write[] = [{ sent: 0, answered: 0 }];
	const stale: string[] = [];

	const isLater = (one: number, other: number) =>
		commits
			? commits.indexOf(one) > commits.indexOf(other)
			: history[one]!.sent > history[other]!.answered;

	async function writeAll(writer: number): Promise<void> {
		const next = random(seed + writer);
		for (let i = 0; i < writes; i++) {
			const own = ++value;
			const entry: Write = { sent: clock++, answered: Number.POSITIVE_INFINITY };
			history[own] = entry;
			await write(own, writer, next);
			entry.answered = clock++;
		}
		writing--;
	}
	async function readAll(reader: number): Promise<void> {
		const next = random(seed + 1000 + reader);
		// What is stored after the last write stays.
		for (let left = READS_AFTERWARDS; left > 0; await turn()) {
			if (writing === 0) left--;
			const sent = clock++;
			const found = await read(reader, next);
			const later = history.findIndex(
				({ answered }, one) => answered < sent && isLater(one, found),
			);
			if (later >= 0)
				stale.push(`reader ${reader} received ${found} after ${later} had been answered`);
		}
	}
	await Promise.all([
		...Array.from({ length: writers }, (_, writer) => writeAll(writer)),
		...Array.from({ length: readers }, (_, reader) => readAll(reader)),
	]);
	return stale;
}
