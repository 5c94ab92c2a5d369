import { withTimeout } from "../async/with-timeout.ts";
import { StartError } from "./start-error.ts";

type Release = (elapsed: number) => unknown;

/** One Ctrl-C reaches us twice under npm and `node --watch`: from the terminal, and passed on by them. */
const ECHO_MS = 500;

/** A process from its first step to its end. */
export interface Program {
	/**
	 * Waits for a step of the start. Where `limit` is given, a step that takes longer than `ms` fails with the line `late`. When the
	 * process is ending already, this never returns: what ends would only look like a failed start.
	 */
	step<T>(work: Promise<T>, limit?: { ms: number; late: string }): Promise<T>;
	/** Has `release` called when the process ends, the last one first, with the ms that this has taken so far. It gets `ms` and is then left behind. */
	onEnd(ms: number, release: Release): void;
	/** Ends the process, well unless told otherwise. */
	stop(exitCode?: number): Promise<never>;
	/** Ends the process because of `error`: a StartError is told in one line, everything else with its stack. */
	fail(error: unknown): Promise<never>;
	/** From now on there is a log for what fails unexpectedly. */
	reportFailuresTo(tell: (error: unknown) => void): void;
}

const never = new Promise<never>(() => undefined);

/** Runs a program that ends by a signal, by `stop` or by `fail`, and in each case only after everything was released. */
export function runProgram(name: string, main: (program: Program) => Promise<void>): void {
	const releases: { ms: number; release: Release }[] = [];
	let endedAt: number | undefined;
	let code = 0;
	// Nothing else may keep the process running, in the middle of its start for instance.
	const alive = setInterval(() => undefined, 2 ** 30);

	let told = (error: unknown): void => console.error(`${name} failed unexpectedly:`, error);
	function report(error: unknown): void {
		if (error instanceof StartError)
			console.error(`${name}: ${error.message.replace(/(?<!\s)\s*\n\s*/g, " ")}`);
		else told(error);
	}

	async function end(): Promise<never> {
		if (endedAt !== undefined) return never;
		const begun = Date.now();
		endedAt = begun;
		for (const { ms, release } of releases.reverse()) {
			const work = Promise.resolve().then(() => release(Date.now() - begun));
			await withTimeout(work, ms).catch(report);
		}
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
		reportFailuresTo(tell) {
			told = tell;
		},
		fail(error) {
			code = 1;
			report(error);
			return end();
		},
	};

	for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
		process.on(signal, () => {
			if (signal === "SIGINT" && endedAt !== undefined && Date.now() - endedAt > ECHO_MS)
				process.exit(1);
			program.stop();
		});
	}
	process.on("uncaughtException", program.fail);
	process.on("unhandledRejection", program.fail);
	// Whoever read our output has gone, which is no reason to go as well.
	for (const stream of [process.stdout, process.stderr]) stream.on("error", () => undefined);
	main(program).catch(program.fail);
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
