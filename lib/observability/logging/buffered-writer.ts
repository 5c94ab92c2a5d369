import { destination as openDestination } from "pino";

const BUFFER_BYTES = 128 * 1024;
/** Maximum bytes in UTF-8 per UTF-16 code unit. */
const MAX_UNIT_BYTES = 3;
const FLUSH_DELAY_MS = 200;
/** Bytes that may wait for the reader of the output. Beyond that, lines are dropped. */
const MAX_PENDING_BYTES = 32 * 1024 * 1024;
/**
 * Milliseconds granted to a pending write when the process exits. On a busy machine, the thread
 * that writes may not run for hundreds of milliseconds. Without a pending write, the exit does not
 * wait.
 */
const EXIT_WAIT_MS = 1000;

/** The used part of pino's destination, whose types lack writing bytes. */
interface Output {
	write(bytes: Buffer): void;
	on(event: "drain", listener: () => void): void;
	once(event: "drain", listener: () => void): void;
}

/**
 * Buffers lines for a file or pipe. Lines become bytes immediately, because waiting strings cost
 * the garbage collector more than the rest of a line. The buffer is written when it is full, 200 ms
 * after its first line, and when the process exits. Without lines, no timer runs.
 */
export function bufferedWriter(fd: number) {
	const output = openDestination({
		dest: fd,
		sync: false,
		contentMode: "buffer",
		minLength: 0,
		maxLength: MAX_PENDING_BYTES,
	} as object) as unknown as Output;
	let buffer = Buffer.allocUnsafe(BUFFER_BYTES);
	let used = 0;
	let writing = false;
	let isFlushScheduled = false;
	output.on("drain", () => {
		writing = false;
	});
	function send(bytes: Buffer): void {
		writing = true;
		output.write(bytes);
	}
	function flush(): void {
		if (used === 0) return;
		send(buffer.subarray(0, used));
		buffer = Buffer.allocUnsafe(BUFFER_BYTES);
		used = 0;
	}
	function flushLater(): void {
		if (isFlushScheduled) return;
		isFlushScheduled = true;
		setTimeout(() => {
			isFlushScheduled = false;
			flush();
		}, FLUSH_DELAY_MS).unref();
	}
	// Runs before pino's exit listener, whose synchronous write would overtake a pending one.
	process.prependListener("exit", () => {
		if (writing) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, EXIT_WAIT_MS);
		flush();
	});
	return {
		write(line: string): void {
			const maxBytes = line.length * MAX_UNIT_BYTES;
			if (used + maxBytes > BUFFER_BYTES) flush();
			if (maxBytes > BUFFER_BYTES) send(Buffer.from(line));
			else {
				used += buffer.write(line, used);
				flushLater();
			}
		},
		/** Fulfills when all lines are written. */
		written(): Promise<void> {
			flush();
			return new Promise((resolve) => (writing ? output.once("drain", resolve) : resolve()));
		},
	};
}
