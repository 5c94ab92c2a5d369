import { microBatch } from "../../lib/async/micro-batch.ts";
import { currentTraceparent, type Traced, traceparentsOf } from "../../lib/context/traceparent.ts";
import { alignRows } from "../../lib/persistence/align-rows.ts";
import type { Database, Queryable, Tx } from "../../lib/persistence/database.ts";
import { newId } from "../../lib/persistence/id.ts";
import type { CartContents, CartLine, PlaceRequest, Quote, StoredCart } from "./carts.rules.ts";
import * as statements from "./carts.statements.ts";

/** Days after which the unused cart of a guest expires. */
const UNUSED_DAYS = 1;
/** Limit of the lifetime of a guest's cart, in days. */
const MAX_GUEST_DAYS = 30;
const DAY_MS = 24 * 60 * 60 * 1000;

interface Options {
	readonly db: Database;
	/** Days after its last change that a cart expires. */
	readonly days: number;
	/** Seconds after which the checkout of another node is taken over. */
	readonly settleSeconds: number;
	wakeRelay(): void;
}
type Written = Pick<StoredCart, "version" | "expires_at" | "updated_at">;
/** An order whose cart may be being completed. */
export interface OrderRef extends Traced {
	readonly order_id: string;
}
export type CartStore = ReturnType<typeof createCartStore>;

/**
 * The rows of carts. Every write of a cart is one statement that checks its version or its status, so
 * of several concurrent changes one takes effect.
 */
export function createCartStore({ db, days, settleSeconds, wakeRelay }: Options) {
	const daysOf = ({ user_id }: Pick<StoredCart, "user_id">) =>
		user_id === null ? Math.min(days, MAX_GUEST_DAYS) : days;
	const find = microBatch(async (ids: string[]) =>
		alignRows(ids, await db.query<StoredCart>(statements.FIND, [ids])),
	);
	const complete = microBatch(async (orders: OrderRef[]) => {
		await completeAll(db, orders);
		wakeRelay();
		return orders;
	});

	/** Completes the carts of confirmed orders. Call `wakeRelay` after the commit. */
	async function completeAll(queryable: Queryable, orders: readonly OrderRef[]): Promise<void> {
		const ids = orders.map(({ order_id }) => order_id);
		await queryable.query(statements.COMPLETE, [ids, traceparentsOf(orders), days]);
	}

	return {
		/** A cart that has not expired. */
		find: async (id: string): Promise<StoredCart | undefined> => (await find(id)) ?? undefined,

		/** The request of the last checkout of a cart. */
		async findRequest(id: string): Promise<PlaceRequest | null> {
			const rows = await db.query<{ request: PlaceRequest | null }>(statements.FIND_REQUEST, [id]);
			return rows[0]?.request ?? null;
		},

		/** Creates the cart of a guest. @param digest of its token */
		async createForGuest(digest: Buffer, currency: string | null): Promise<StoredCart> {
			const values = [newId(), null, digest, currency, UNUSED_DAYS];
			const [created] = await db.query<StoredCart>(statements.INSERT, values);
			return created!;
		},

		/** The open cart of a user, which is created if there is none. */
		async openFor(user_id: string, currency: string | null): Promise<StoredCart> {
			for (;;) {
				const [found] = await db.query<StoredCart>(statements.FIND_OPEN, [user_id]);
				if (found) return found;
				const values = [newId(), user_id, null, currency, days];
				const [created] = await db.query<StoredCart>(statements.INSERT, values);
				if (created) return created;
				await db.query(statements.DELETE_EXPIRED_OF, [user_id]);
			}
		},

		/** Writes the contents of a cart. Returns undefined if the cart has changed in the meantime. */
		async save(
			cart: StoredCart,
			contents: CartContents,
			queryable: Queryable = db,
		): Promise<Written | undefined> {
			const values = [cart.id, cart.version, ...columnsOf(contents), daysOf(cart)];
			return (await queryable.query<Written>(statements.SAVE, values))[0];
		},

		/** Whether less than half of the lifetime of a used cart is left. */
		isAging: (cart: StoredCart): boolean =>
			cart.lines.length > 0 &&
			Date.parse(cart.expires_at) - Date.now() < (daysOf(cart) * DAY_MS) / 2,

		/** Stores the prices that the buyer has seen, unless the cart has changed in the meantime. */
		async markSeen(
			cart: StoredCart,
			lines: readonly CartLine[],
			quote: Quote | null,
		): Promise<void> {
			const values = [cart.id, cart.version, JSON.stringify(lines), asJson(quote), daysOf(cart)];
			await db.query(statements.MARK_SEEN, values);
		},

		/** Returns false if the cart has changed in the meantime. */
		remove: async ({ id, version }: StoredCart): Promise<boolean> =>
			(await db.query(statements.REMOVE, [id, version])).length > 0,

		/** Locks a cart, and the open cart of a user if that is another one; both may have expired. */
		async lockPair(tx: Tx, id: string, user_id: string | null) {
			const rows = await tx.query<StoredCart>(statements.LOCK, [id, user_id]);
			return { cart: rows.find((row) => row.id === id), other: rows.find((row) => row.id !== id) };
		},

		/** Records that the contents of a locked cart have moved to another one. */
		async markMerged(tx: Tx, id: string, into: string, reason: string | null): Promise<void> {
			await tx.query(statements.MARK_MERGED, [id, into, reason]);
		},

		/** Gives the locked cart of a guest to an account without a current open cart. */
		async assign(tx: Tx, id: string, user_id: string): Promise<void> {
			await tx.query(statements.DELETE_EXPIRED_OF, [user_id]);
			await tx.query(statements.ASSIGN, [id, user_id, days]);
		},

		/** Starts the checkout of a cart. Returns false if the cart has changed in the meantime. */
		async begin(
			queryable: Queryable,
			{ id, version }: StoredCart,
			request: PlaceRequest,
		): Promise<boolean> {
			const values = [id, version, request.order_id, JSON.stringify(request), settleSeconds];
			return (await queryable.query(statements.BEGIN, values)).length > 0;
		},

		/** Completes the cart of a confirmed order, with concurrent calls in one statement. */
		async complete(order_id: string): Promise<void> {
			await complete({ order_id, traceparent: currentTraceparent() });
		},
		completeAll,

		/** Those of the orders whose carts are being completed, by cart. */
		findCompleting: (queryable: Queryable, order_ids: readonly string[]) =>
			queryable.query<{ id: string; user_id: string | null; order_id: string }>(
				statements.FIND_COMPLETING,
				[order_ids],
			),

		/** Opens a locked cart again whose order was cancelled. */
		async reopen(tx: Tx, cart: StoredCart, reason: string): Promise<void> {
			await tx.query(statements.REOPEN, [cart.order_id, reason, daysOf(cart)]);
		},
	};
}

const asJson = (value: object | null) => value && JSON.stringify(value);
/** Values of the columns with a cart's contents. */
const columnsOf = (contents: CartContents) => [
	contents.currency,
	contents.email,
	asJson(contents.shipping_address),
	asJson(contents.billing_address),
	contents.shipping_method,
	contents.coupon_codes,
	JSON.stringify(contents.lines),
	asJson(contents.quote),
];
