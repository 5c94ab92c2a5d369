import type { Database } from "../../../../lib/persistence/database.ts";
import { isStored } from "./errors.ts";
import { NEXT_ATTEMPT } from "./statements.ts";

/** Keys that one call tries; the next call continues with the last one. */
const MAX_KEYS = 3;

/**
 * Creates a function that sends a request once. Stripe stores the response to an idempotency key
 * for a day, including a server error. After such an error, the function looks for the effect of
 * the request, and repeats the request under another key only if there is none. All processes use
 * the same keys in the same order.
 */
export const createOnce = (db: Database) =>
	/**
	 * @param name first idempotency key
	 * @param findEffect returns the result if an earlier request took effect
	 * @param isOld whether an error belongs to the key, so that another key may have another response
	 */
	async function once<T>(
		name: string,
		send: (options: { readonly idempotencyKey: string }) => Promise<T>,
		findEffect: () => Promise<T | null>,
		isOld: (error: unknown) => boolean = isStored,
	): Promise<T> {
		let attempt = 1;
		for (let keys = 1; ; keys++) {
			try {
				return await send({ idempotencyKey: attempt === 1 ? name : `${name}:${attempt}` });
			} catch (error) {
				if (!isOld(error)) throw error;
				const found = await findEffect();
				if (found) return found;
				const [next] = await db.query<{ attempt: number }>(NEXT_ATTEMPT, [name, attempt]);
				if (keys === MAX_KEYS) throw error;
				attempt = next!.attempt;
			}
		}
	};
export type Once = ReturnType<typeof createOnce>;
