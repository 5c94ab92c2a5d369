import type { Database, Tx } from "../../lib/persistence/database.ts";
import { haveSameCurrency, isCurrent, merge, type StoredCart } from "./carts.rules.ts";
import type { CartStore } from "./carts.store.ts";

interface Dependencies {
	readonly db: Database;
	readonly store: CartStore;
}

/**
 * Merges the open cart of a guest into the open cart of an account, or gives it to the account if
 * there is none. Repeating it has no effect.
 * @param check throws unless the cart, which is locked, can be merged
 * @returns the ID of the account's cart
 * @throws MIXED_CURRENCIES
 */
export const mergeIntoAccount = (
	{ db, store }: Dependencies,
	id: string,
	user_id: string,
	check: (cart: StoredCart | undefined) => asserts cart is StoredCart,
): Promise<string> =>
	retried(() =>
		db.transaction(async (tx) => {
			const { cart, other } = await store.lockPair(tx, id, user_id);
			const found = cart && isCurrent(cart, Date.now()) ? cart : undefined;
			check(found);
			if (found.merged_into) return found.merged_into;
			if (found.user_id === user_id) return id;
			if (!other) {
				await store.assign(tx, id, user_id);
				return id;
			}
			await moveLines(store, tx, found, other);
			await store.markMerged(tx, id, other.id, null);
			return other.id;
		}),
	);

/** Opens the cart of a cancelled order again, in a transaction of its own. */
export const reopenCart = (
	{ db, store }: Dependencies,
	order_id: string,
	reason: string,
): Promise<void> => retried(() => db.transaction((tx) => reopenIn(store, tx, order_id, reason)));

/**
 * Opens the cart of a cancelled order again. If its user has opened another cart since, the lines
 * move to that one, unless it has another currency.
 */
export async function reopenIn(
	store: CartStore,
	tx: Tx,
	order_id: string,
	reason: string,
): Promise<void> {
	const [found] = await store.findCompleting(tx, [order_id]);
	if (!found) return;
	const { cart, other } = await store.lockPair(tx, found.id, found.user_id);
	if (cart?.status !== "completing" || cart.order_id !== order_id) return;
	if (!other) return store.reopen(tx, cart, reason);
	if (haveSameCurrency(cart, other)) await moveLines(store, tx, cart, other);
	await store.markMerged(tx, cart.id, other.id, reason);
}

/**
 * Moves the contents of a locked cart to another one. An empty cart takes the currency of the
 * lines, even if its owner had chosen another one.
 */
async function moveLines(
	store: CartStore,
	tx: Tx,
	from: StoredCart,
	into: StoredCart,
): Promise<void> {
	const merged = merge(from, into);
	await store.saveIn(tx, into, merged);
	if (merged.currency !== into.currency)
		await store.setCurrencyChosen(tx, into.id, from.is_currency_chosen);
}

const UNIQUE_VIOLATION = "23505";
const MAX_ATTEMPTS = 3;
/** Repeats a transaction that loses a race for the open cart of a user. */
async function retried<T>(run: () => Promise<T>): Promise<T> {
	for (let attempt = 1; ; attempt++) {
		try {
			return await run();
		} catch (error) {
			const { code } = error as { code?: unknown };
			if (code !== UNIQUE_VIOLATION || attempt === MAX_ATTEMPTS) throw error;
		}
	}
}
