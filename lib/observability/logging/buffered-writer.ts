import { destination as openDestination } from "pino";

const SIZE = 128 * 1024;
/** A character takes three bytes at most in UTF-8, for each of JavaScript's units. */
const WIDEST = 3;
const EVERY_MS = 200;
/** Bytes that wait for whoever reads our output; beyond that lines are lost, and the shop goes on. */
const MOST_WAITING = 32 * 1024 * 1024;
/** Milliseconds that a write under way gets when the process ends without having waited for it. */
const LAST_MS = 50;

/** What of pino's destination is used, which its types do not know to take bytes. */
interface Output {
	write(bytes: Buffer): void;
	on(event: "drain", listener: () => void): void;
	once(event: "drain", listener: () => void): void;
}

/**
 * Lines on their way to a file or pipe. They become bytes at once, since strings that wait cost the garbage collector more than all else of a line, and
 * are written together, while requests go on: when there are many, five times a second, and all that is left when the process ends.
 */
export function bufferedWriter(fd: number) {
	const output = openDestination({
		dest: fd,
		sync: false,
		contentMode: "buffer",
		minLength: 0,
		maxLength: MOST_WAITING,
	} as object) as unknown as Output;
	let buffer = Buffer.allocUnsafe(SIZE);
	let used = 0;
	let writing = false;
	output.on("drain", () => {
		writing = false;
	});
	function hand(bytes: Buffer): void {
		writing = true;
		output.write(bytes);
	}
	function pass(): void {
		if (used === 0) return;
		hand(buffer.subarray(0, used));
		buffer = Buffer.allocUnsafe(SIZE);
		used = 0;
	}
	setInterval(pass, EVERY_MS).unref();
	// Ahead of pino's own, which writes the rest at once, and would overtake what is under way.
	process.prependListener("exit", () => {
		if (writing) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, LAST_MS);
		pass();
	});
	return {
		write(line: string): void {
			const most = line.length * WIDEST;
			if (used + most > SIZE) pass();
			if (most > SIZE) hand(Buffer.from(line));
			else used += buffer.write(line, used);
		},
		/** Fulfils when all lines are written. */
		written(): Promise<void> {
			pass();
			return new Promise((resolve) => (writing ? output.once("drain", resolve) : resolve()));
		},
	};
}
