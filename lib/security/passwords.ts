import { availableParallelism } from "node:os";
import bcryptjs from "bcryptjs";
import { boundedQueue } from "../async/bounded-queue.ts";
import { commonError } from "../contracts/errors.ts";
import { javascriptBcrypt, nativeBcrypt } from "./bcrypt.ts";

/** One processor stays free for everything else, and a flood of sign-ins takes two at most. */
const THREADS = Math.min(2, Math.max(1, availableParallelism() - 1));

export interface PasswordOptions {
	/** bcrypt's work factor: each step doubles the time. */
	readonly cost: number;
	/** Passwords that may wait; with more, callers would give up first. */
	readonly queue?: number;
	/** Uses bcryptjs even where the native package is installed. */
	readonly javascript?: boolean;
}

/**
 * Hashes passwords with bcrypt, one after the other, outside the event loop: one hash at cost 10 takes about 50 ms. The native package computes it
 * in a quarter less processor time than bcryptjs, which is the fallback (docs/adr/0020-native-bcrypt.md).
 * bcrypt reads 72 bytes and no further: the caller refuses longer passwords.
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
	/** Belongs to no password, and takes as long to compare with as any other hash of this cost. */
	const decoy = bcryptjs.genSaltSync(cost) + ".".repeat(31);

	return {
		/** The package that computes the hashes. */
		implementation: bcrypt.name,
		/** @throws SERVICE_UNAVAILABLE when too many passwords wait, or when the call ends before its turn */
		hash: (password: string): Promise<string> => run(() => bcrypt.hash(bytesOf(password), cost)),
		/**
		 * Whether a hash belongs to this password. Without a hash it takes as long and returns false, so that the time does not reveal which accounts exist.
		 * @throws SERVICE_UNAVAILABLE when too many passwords wait, or when the call ends before its turn
		 */
		matches: (password: string, hashed: string | undefined): Promise<boolean> =>
			run(() => bcrypt.compare(bytesOf(password), hashed ?? decoy)),
		/** Whether a hash was made with another cost than new ones are. */
		isOutdated: (hashed: string): boolean => bcryptjs.getRounds(hashed) !== cost,
		/** Finishes all passwords that run or wait. */
		async close(): Promise<void> {
			await drained();
			await bcrypt.close();
		},
	};
}
export type Passwords = ReturnType<typeof passwords>;

/** The two packages encode half a surrogate pair differently; what takes its place here has the same bytes in both. */
const bytesOf = (password: string): string => password.toWellFormed();
