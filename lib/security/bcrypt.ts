import { createRequire } from "node:module";
import { Piscina } from "piscina";
import type * as worker from "./passwords.worker.ts";

/**
 * Implementation of bcrypt that computes outside the event loop. All implementations use the same
 * hash format.
 */
interface Bcrypt {
	readonly name: "bcrypt" | "bcryptjs";
	hash(password: string, cost: number): Promise<string>;
	compare(password: string, hashed: string): Promise<boolean>;
	close(): Promise<void>;
}

const IDLE_MS = 60_000;

/**
 * The optional package `bcrypt`, which uses Node's thread pool. Returns undefined if it is not
 * installed or has no binary for this platform.
 */
export function nativeBcrypt(): Bcrypt | undefined {
	let native: Pick<Bcrypt, "hash" | "compare">;
	try {
		native = createRequire(import.meta.url)("bcrypt");
	} catch {
		return undefined;
	}
	return {
		name: "bcrypt",
		hash: (password, cost) => native.hash(password, cost),
		// PHP writes $2y$ for the same algorithm, which the package does not accept.
		compare: (password, hashed) => native.compare(password, hashed.replace(/^\$2y\$/, "$2b$")),
		close: async () => undefined,
	};
}

/** bcryptjs in worker threads, which start with the first password and stop when idle. */
export function javascriptBcrypt(threads: number): Bcrypt {
	const filename = new URL("./passwords.worker.ts", import.meta.url).href;
	// Without stricterFIFO, Piscina moves a task that finds no free thread to the end of its queue.
	const pool = new Piscina({
		filename,
		minThreads: 0,
		maxThreads: threads,
		idleTimeout: IDLE_MS,
		stricterFIFO: true,
	});
	const run = <N extends keyof typeof worker>(name: N, task: Parameters<(typeof worker)[N]>[0]) =>
		pool.run(task, { name }) as Promise<ReturnType<(typeof worker)[N]>>;
	return {
		name: "bcryptjs",
		hash: (password, cost) => run("hash", { password, cost }),
		compare: (password, hashed) => run("compare", { password, hashed }),
		close: () => pool.close(),
	};
}
