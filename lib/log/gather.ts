import { destination as openDestination } from "pino";

const SIZE = 128 * 1024;
/** A character takes three bytes at most in UTF-8, for each of JavaScript's units. */
const WIDEST = 3;
const EVERY_MS = 200;
/** Bytes that wait for whoever reads our output; beyond that lines are lost, and the shop goes on. */
const MOST_WAITING = 32 * 1024 * 1024;

/**
 * Lines on their way to a file or pipe. They become bytes at once, since strings that wait cost the garbage collector more than all else of a line, and
 * are written together, while requests go on: when there are many, five times a second, and all that is left when the process ends.
 */
export function gather(fd: number) {
	const output = openDestination({ dest: fd, sync: false, contentMode: "buffer", minLength: 0, maxLength: MOST_WAITING } as object);
	let buffer = Buffer.allocUnsafe(SIZE);
	let used = 0;
	function pass(): void {
		if (used === 0) return;
		(output as unknown as { write(bytes: Buffer): void }).write(buffer.subarray(0, used));
		buffer = Buffer.allocUnsafe(SIZE);
		used = 0;
	}
	setInterval(pass, EVERY_MS).unref();
	// Ahead of pino's own, which writes what has been passed on.
	process.prependListener("exit", pass);
	return {
		write(line: string): void {
			if (used + line.length * WIDEST > SIZE) pass();
			if (line.length * WIDEST > SIZE) (output as unknown as { write(bytes: Buffer): void }).write(Buffer.from(line));
			else used += buffer.write(line, used);
		},
	};
}
