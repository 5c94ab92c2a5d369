import { availableParallelism } from "node:os";
import bcryptjs from "bcryptjs";
import { boundedQueue } from "../async/bounded-queue.ts";
import { commonError } from "../contracts/errors.ts";
import { javascriptBcrypt, nativeBcrypt } from "./bcrypt.ts";

/** A flood of sign-ins uses at most two processors. The event loop shares them with the threads. */
const THREADS = Math.min(2, availableParallelism());

export interface PasswordOptions {
	/** Work factor of bcrypt: each step doubles the time. */
	readonly cost: number;
	/** Maximum number of waiting passwords; with more, callers would time out. */
	readonly queue?: number;
	/** Uses bcryptjs even if the native package is installed. */
	readonly javascript?: boolean;
}

/**
 * Hashes passwords with bcrypt outside the event loop, in order of arrival. A hash at cost 10 takes
 * about 50 ms. The native package needs a quarter less processor time than the fallback bcryptjs
 * (docs/adr/0020-native-bcrypt.md). bcrypt reads only 72 bytes, so callers reject longer passwords.
 */
export function passwords({ cost, queue = 200, javascript = false }: PasswordOptions) {
	const bcrypt = (javascript ? undefined : nativeBcrypt()) ?? javascriptBcrypt(THREADS);
	const unavailable = () => commonError("SERVICE_UNAVAILABLE");
	const { run, drained } = boundedQueue({
		concurrency: THREADS,
		limit: queue,
		full: unavailable,
		expired: unavailable,
	});
	/** Matches no password. A comparison takes as long as with any other hash of this cost. */
	const decoy = bcryptjs.genSaltSync(cost) + ".".repeat(31);

	return {
		/** Package that computes the hashes. */
		implementation: bcrypt.name,
		/** @throws SERVICE_UNAVAILABLE if too many passwords wait, or after the deadline of the call */
		hash: (password: string): Promise<string> =>
			run(() => bcrypt.hash(withoutLoneSurrogates(password), cost)),
		/**
		 * Whether a password matches a hash. Without a hash it returns false after the same time, so
		 * that the duration does not reveal which accounts exist.
		 *
		 * @throws SERVICE_UNAVAILABLE if too many passwords wait, or after the deadline of the call
		 */
		matches: (password: string, hashed: string | undefined): Promise<boolean> =>
			run(() => bcrypt.compare(withoutLoneSurrogates(password), hashed ?? decoy)),
		/** Whether the cost of a hash differs from that of new hashes. */
		isOutdated: (hashed: string): boolean => bcryptjs.getRounds(hashed) !== cost,
		/** Waits for all running and waiting passwords. */
		async close(): Promise<void> {
			await drained();
			await bcrypt.close();
		},
	};
}
export type Passwords = ReturnType<typeof passwords>;

/**
 * Replaces unpaired surrogates, which the two packages encode differently. The replacement has the
 * same bytes in both.
 */
const withoutLoneSurrogates = (password: string): string => password.toWellFormed();
