import { microBatch } from "../../lib/async/micro-batch.ts";
import { traceparentsOf } from "../../lib/context/traceparent.ts";
import { alignRows } from "../../lib/persistence/align-rows.ts";
import { arrayLiteral } from "../../lib/persistence/array-literal.ts";
import type { Database, Queryable, Tx } from "../../lib/persistence/database.ts";
import { newId } from "../../lib/persistence/id.ts";
import { createCompletion, type OrderRef } from "./carts.completion.ts";
import {
	type CartContents,
	type CartLine,
	isCurrent,
	type PlaceRequest,
	type Quote,
	type StoredCart,
} from "./carts.rules.ts";
import * as statements from "./carts.statements.ts";

/** Days after which the unused cart of a guest expires. */
const UNUSED_DAYS = 1;
/** Limit of the lifetime of a guest's cart, in days. */
const MAX_GUEST_DAYS = 30;
/**
 * Milliseconds that a read waits at most for concurrent requests. The carts of a batch are then
 * also evaluated, written and ordered together.
 */
const GATHER_MS = 4;
const DAY_MS = 24 * 60 * 60 * 1000;

interface Options {
	readonly db: Database;
	/** Days after its last change that a cart expires. */
	readonly days: number;
	/** Seconds after which the checkout of another node is taken over. */
	readonly settleSeconds: number;
	wakeRelay(): void;
}
/** New contents of a cart, which replace those of its version. */
interface Change {
	readonly cart: StoredCart;
	readonly contents: CartContents;
}
interface Checkout {
	readonly cart: StoredCart;
	readonly request: PlaceRequest;
}
type Written = Pick<StoredCart, "version" | "expires_at" | "updated_at">;
export type CartStore = ReturnType<typeof createCartStore>;

/**
 * The rows of carts. Every write of a cart is one statement that checks its version or its status,
 * so of several concurrent changes one takes effect.
 */
export function createCartStore({ db, days, settleSeconds, wakeRelay }: Options) {
	const guestDays = Math.min(days, MAX_GUEST_DAYS);
	const daysOf = ({ user_id }: Pick<StoredCart, "user_id">) =>
		user_id === null ? guestDays : days;
	const find = microBatch(
		async (ids: string[]) => alignRows(ids, await db.query<StoredCart>(statements.FIND, [ids])),
		{ gatherMs: GATHER_MS },
	);
	const save = microBatch(async (changes: Change[]) => saveAll(db, changes));
	const begin = microBatch(async (checkouts: Checkout[]) => beginAll(db, checkouts));
	const { completeFirst, ...completion } = createCompletion(async (orders) => {
		await completeAll(db, orders);
		wakeRelay();
	});

	/** Completes the carts of confirmed orders. Call `wakeRelay` after the commit. */
	async function completeAll(queryable: Queryable, orders: readonly OrderRef[]): Promise<void> {
		const ids = orders.map(({ order_id }) => order_id);
		await queryable.query(statements.COMPLETE, [ids, traceparentsOf(orders), days, guestDays]);
	}

	/** Writes contents. Returns undefined for a cart that has changed in the meantime. */
	async function saveAll(
		queryable: Queryable,
		changes: readonly Change[],
	): Promise<(Written | undefined)[]> {
		const first = firstByCart(changes);
		const rows = await queryable.query<Written & { id: string }>(statements.SAVE, [
			first.map(({ cart }) => cart.id),
			first.map(({ cart }) => cart.version),
			...columnsOf(first.map(({ contents }) => contents)),
			first.map(({ cart }) => daysOf(cart)),
		]);
		return resultsOf(changes, first, rows);
	}

	/** Starts checkouts. Returns undefined for a cart that has changed in the meantime. */
	async function beginAll(
		queryable: Queryable,
		checkouts: readonly Checkout[],
	): Promise<(object | undefined)[]> {
		const first = firstByCart(checkouts);
		const rows = await queryable.query<{ id: string }>(statements.BEGIN, [
			first.map(({ cart }) => cart.id),
			first.map(({ cart }) => cart.version),
			first.map(({ request }) => request.order_id),
			first.map(({ request }) => JSON.stringify(request)),
			settleSeconds,
		]);
		return resultsOf(checkouts, first, rows);
	}

	return {
		/** A cart that has not expired. If this node is about to complete it, this happens first. */
		async find(id: string): Promise<StoredCart | undefined> {
			await completeFirst(id);
			return (await find(id)) ?? undefined;
		},

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
		save: (cart: StoredCart, contents: CartContents): Promise<Written | undefined> =>
			save({ cart, contents }),
		async saveIn(tx: Tx, cart: StoredCart, contents: CartContents): Promise<void> {
			await saveAll(tx, [{ cart, contents }]);
		},

		/** Records whether the owner of a locked cart has chosen its currency. */
		async setCurrencyChosen(tx: Tx, id: string, is_chosen: boolean): Promise<void> {
			await tx.query(statements.SET_CURRENCY_CHOSEN, [id, is_chosen]);
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

		/**
		 * Locks a cart, which may have expired, and the open cart of a user if that is another one.
		 * Deletes the latter if it has expired: a user has one open cart at most.
		 */
		async lockPair(tx: Tx, id: string, user_id: string | null) {
			const rows = await tx.query<StoredCart>(statements.LOCK, [id, user_id]);
			const cart = rows.find((row) => row.id === id);
			const other = rows.find((row) => row.id !== id);
			if (!other || isCurrent(other, Date.now())) return { cart, other };
			await tx.query(statements.REMOVE, [other.id, other.version]);
			return { cart, other: undefined };
		},

		/** Records that the contents of a locked cart have moved to another one. */
		async markMerged(tx: Tx, id: string, into: string, reason: string | null): Promise<void> {
			await tx.query(statements.MARK_MERGED, [id, into, reason]);
		},

		/** Gives the locked cart of a guest to an account without an open cart. */
		async assign(tx: Tx, id: string, user_id: string): Promise<void> {
			await tx.query(statements.ASSIGN, [id, user_id, days]);
		},

		/** Starts the checkout of a cart. Returns false if the cart has changed in the meantime. */
		begin: async (cart: StoredCart, request: PlaceRequest): Promise<boolean> =>
			(await begin({ cart, request })) !== undefined,
		beginIn: async (tx: Tx, cart: StoredCart, request: PlaceRequest): Promise<boolean> =>
			(await beginAll(tx, [{ cart, request }]))[0] !== undefined,

		...completion,
		completeAll,

		/** Carts of the given orders that are being completed, by ID. */
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
/** Values of the columns with the contents of carts. */
const columnsOf = (all: readonly CartContents[]) => [
	all.map(({ currency }) => currency),
	all.map(({ email }) => email),
	all.map(({ shipping_address }) => asJson(shipping_address)),
	all.map(({ billing_address }) => asJson(billing_address)),
	all.map(({ shipping_method }) => shipping_method),
	all.map(({ coupon_codes }) => arrayLiteral(coupon_codes)),
	all.map(({ lines }) => JSON.stringify(lines)),
	all.map(({ quote }) => asJson(quote)),
];

interface OfCart {
	readonly cart: StoredCart;
}
/** The first element of each cart: of several changes of a version, one takes effect. */
const firstByCart = <E extends OfCart>(elements: readonly E[]): E[] => {
	const first = new Map<string, E>();
	for (const element of elements)
		if (!first.has(element.cart.id)) first.set(element.cart.id, element);
	return [...first.values()];
};
/** The returned row of each element, if the element is the first one of its cart. */
function resultsOf<E extends OfCart, Row extends { readonly id: string }>(
	elements: readonly E[],
	first: readonly E[],
	rows: readonly Row[],
): (Row | undefined)[] {
	const rowOf = new Map(rows.map((row) => [row.id, row]));
	const isFirst = new Set(first);
	return elements.map((element) => (isFirst.has(element) ? rowOf.get(element.cart.id) : undefined));
}
