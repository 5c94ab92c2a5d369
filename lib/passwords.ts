import { availableParallelism } from "node:os";
import bcrypt from "bcryptjs";
import { Piscina } from "piscina";
import { commonError } from "./errors.ts";
import type * as worker from "./passwords.worker.ts";

/** One thread stays free for everything else, and a flood of sign-ins takes two at most. */
const THREADS = Math.min(2, Math.max(1, availableParallelism() - 1));
const IDLE_MS = 60_000;

export interface PasswordOptions {
	/** bcrypt's work factor: each step doubles the time. */
	readonly cost: number;
	/** How many may wait; more would wait longer than their callers do. */
	readonly queue?: number;
}

/**
 * bcrypt in worker threads, because one hash at cost 10 would hold the event loop for about 50 ms. Threads start with the first password and
 * end when idle. bcrypt reads 72 bytes and no further: keeping longer passwords out is the caller's part.
 */
export function passwords({ cost, queue = 200 }: PasswordOptions) {
	const filename = new URL("./passwords.worker.ts", import.meta.url).href;
	const pool = new Piscina({ filename, minThreads: 0, maxThreads: THREADS, idleTimeout: IDLE_MS });
	/** Belongs to no password, and takes as long to compare with as any other hash of this cost. */
	const decoy = bcrypt.genSaltSync(cost) + ".".repeat(31);

	function run<N extends keyof typeof worker>(name: N, task: Parameters<(typeof worker)[N]>[0]) {
		const done = pool.queueSize < queue ? pool.run(task, { name }) : Promise.reject(commonError("SERVICE_UNAVAILABLE"));
		return done as ReturnType<(typeof worker)[N]>;
	}

	return {
		/** @throws SERVICE_UNAVAILABLE when too many are waiting */
		hash: (password: string): Promise<string> => run("hash", { password, cost }),
		/**
		 * Whether this is the password of that hash. Without a hash it takes as long and answers no, so that the time does not tell who exists.
		 * @throws SERVICE_UNAVAILABLE when too many are waiting
		 */
		matches: (password: string, hashed: string | undefined): Promise<boolean> => run("compare", { password, hashed: hashed ?? decoy }),
		/** Whether a hash was made with another cost than new ones are. */
		isOutdated: (hashed: string): boolean => bcrypt.getRounds(hashed) !== cost,
		/** Finishes what was begun and ends the threads. */
		close: (): Promise<void> => pool.close(),
	};
}
export type Passwords = ReturnType<typeof passwords>;
