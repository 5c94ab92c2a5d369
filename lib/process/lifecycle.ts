import { constants } from "node:os";
import { withTimeout } from "../async/with-timeout.ts";
import { StartError } from "./start-error.ts";

type Release = (elapsed: number) => unknown;

/**
 * Under npm and `node --watch`, one Ctrl-C arrives twice: from the terminal and forwarded by the
 * parent process. A second SIGINT within this time does not count.
 */
const ECHO_MS = 500;

/**
 * Time to write the remaining output after a signal or a failure: a reader that reads no log lines
 * must not prevent the exit. A program that ends by itself waits without a limit, because its
 * output is its result, which `less` reads page by page.
 */
const OUTPUT_MS = 1000;

/** Log of a process, such as a logger of Moleculer. */
export interface ProgramLog {
	warn(message: string): void;
	fatal(message: string, data?: { readonly error: unknown }): void;
}

/** Life cycle of a process. */
export interface Program {
	/**
	 * Waits for a step of the start. Never settles once the process is shutting down, because the
	 * failures that a shutdown causes would look like a failed start.
	 *
	 * @throws StartError with the message `late` if the step takes longer than `ms`
	 */
	step<T>(work: Promise<T>, limit?: { ms: number; late: string }): Promise<T>;
	/**
	 * Registers a function that releases a resource at the end of the process, in reverse order. It
	 * receives the milliseconds since the shutdown began. The shutdown waits at most `ms` for it.
	 */
	onEnd(ms: number, release: Release): void;
	/** Releases all resources, writes the remaining output, and exits, with code 0 by default. */
	stop(exitCode?: number): Promise<never>;
	/** Exits with code 1 and prints the error: a StartError as one line, others with their stack. */
	fail(error: unknown): Promise<never>;
	/** Reports a condition that delays the start, or that the operator should correct. */
	warn(message: string): void;
	/** Sends all warnings and errors to a log instead of the console. */
	reportTo(log: ProgramLog): void;
	/** Sends only unexpected errors to a log. */
	reportUnexpectedTo(log: ProgramLog): void;
}

const never = new Promise<never>(() => undefined);

/** Properties of a program. */
interface ProgramOptions {
	/** The program runs until a signal, which is no interruption: it exits with code 0. */
	readonly untilSignal?: boolean;
}

/**
 * Runs a program until a signal, `stop` or `fail`. In each case it releases all resources and
 * writes its output before it exits. The code after a signal is 128 plus its number, as in a shell,
 * so that no other program takes unfinished work for a success.
 */
export function runProgram(
	name: string,
	main: (program: Program) => Promise<void>,
	{ untilSignal = false }: ProgramOptions = {},
): void {
	const releases: { ms: number; release: Release }[] = [];
	let endedAt: number | undefined;
	let code = 0;
	let interrupt!: () => void;
	const interruption = new Promise<void>((resolve) => {
		interrupt = resolve;
	});
	// During the start, nothing else may keep the process running.
	const alive = setInterval(() => undefined, 2 ** 30);

	let log: ProgramLog = {
		warn: (message) => console.error(message),
		fatal: (message) => console.error(`${name}: ${message}`),
	};
	let logUnexpected = (error: unknown): void =>
		console.error(`${name} failed unexpectedly:`, error);
	function report(error: unknown): void {
		if (error instanceof StartError) log.fatal(error.message.replace(/(?<!\s)\s*\n\s*/g, " "));
		else logUnexpected(error);
	}

	async function end(): Promise<never> {
		if (endedAt !== undefined) return never;
		const startedAt = Date.now();
		endedAt = startedAt;
		for (const { ms, release } of releases.reverse()) {
			const work = Promise.resolve().then(() => release(Date.now() - startedAt));
			await withTimeout(work, ms).catch(report);
		}
		const written = outputWritten();
		await Promise.race([written, interruption.then(() => withTimeout(written, OUTPUT_MS))]);
		clearInterval(alive);
		process.exit(code);
	}

	const program: Program = {
		async step(work, limit) {
			return (limit ? orStartError(work, limit) : work).then(
				(result) => (endedAt === undefined ? result : never),
				(error) => (endedAt === undefined ? Promise.reject(error) : never),
			);
		},
		onEnd: (ms, release) => void releases.push({ ms, release }),
		stop(exitCode = 0) {
			if (endedAt === undefined) code = exitCode;
			return end();
		},
		warn: (message) => log.warn(message),
		reportTo(other) {
			log = other;
			program.reportUnexpectedTo(other);
		},
		reportUnexpectedTo(other) {
			logUnexpected = (error) => other.fatal("Unexpected failure; the process ends", { error });
		},
		fail(error) {
			code = 1;
			interrupt();
			report(error);
			return end();
		},
	};

	for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
		process.on(signal, () => {
			if (signal === "SIGINT" && endedAt !== undefined && Date.now() - endedAt > ECHO_MS)
				process.exit(1);
			interrupt();
			program.stop(untilSignal ? 0 : 128 + constants.signals[signal]);
		});
	}
	process.on("uncaughtException", program.fail);
	process.on("unhandledRejection", program.fail);
	// The process continues after the reader of its output has exited.
	for (const stream of [process.stdout, process.stderr]) stream.on("error", () => undefined);
	main(program).catch(program.fail);
}

/**
 * Resolves when stdout and stderr have been written, or have no reader. Writes to a pipe are queued
 * while it is full, and process.exit() discards the queue.
 */
async function outputWritten(): Promise<void> {
	const flush = (stream: NodeJS.WriteStream) =>
		new Promise<void>((resolve) => stream.write("", () => resolve()));
	await Promise.all([process.stdout, process.stderr].map(flush));
}

/** @throws StartError with the message `late` after `ms` milliseconds */
async function orStartError<T>(
	work: Promise<T>,
	{ ms, late }: { ms: number; late: string },
): Promise<T> {
	const done = await withTimeout(
		work.then((result) => ({ result })),
		ms,
	);
	if (!done) throw new StartError(late);
	return done.result;
}
