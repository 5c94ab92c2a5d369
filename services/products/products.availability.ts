import type { Poller, PollerGroup } from "../../lib/async/poller.ts";
import type { Cached } from "../../lib/caching/lease-cache.ts";
import type { Call } from "../../lib/contracts/contract.ts";
import { type Database, sql, type Tx } from "../../lib/persistence/database.ts";
import type {} from "../inventory/inventory.contract.ts";
import type { Product } from "./products.rules.ts";

interface Availability {
	readonly product_id: string;
	readonly is_available: boolean;
}
/** Stock records per page of a comparison. */
const PAGE_SIZE = 1000;
const FIRST_ID = "00000000-0000-0000-0000-000000000000";
/** Milliseconds between two comparisons of all products, and until a failed page is tried again. */
const COMPARISON_INTERVAL_MS = 600_000;
const RETRY_MS = 10_000;
/** Time limit of a call during which products are locked. */
const LOCKED_CALL_TIMEOUT_MS = 2000;

/** Locks products and their parents in the order parent, variant. `$1` is the products. */
const LOCK = sql(
	"lock_availability",
	`select id from products where id in (
			select id from unnest($1::uuid[]) as w (id)
			union
			select parent_id from products where id = any($1::uuid[]) and parent_id is not null)
	order by parent_id nulls first, id for update`,
);
/** Sets the availability `$2` of products `$1`. Returns the products that it changes. */
const SET_AVAILABLE = sql(
	"set_available",
	`update products p set in_stock = a.is_available
	from unnest($1::uuid[], $2::boolean[]) as a (id, is_available)
	where p.id = a.id and p.variant_count = 0 and p.in_stock <> a.is_available
	returning p.id, p.parent_id`,
);
/** Sets the availability of parents, but not of one whose variants have all been removed. */
const SET_PARENTS_AVAILABLE = sql(
	"set_parents_available",
	`update products p set in_stock = not in_stock
	where id = any($1::uuid[]) and variant_count > 0 and in_stock <> exists (
		select from products v where v.parent_id = p.id and v.deleted_at is null and v.in_stock)`,
);

interface Self {
	readonly db: Database;
	readonly rows: Cached<Product>;
}
/** Sets availabilities of locked products and of their parents. Then invalidates cached lists. */
async function setAvailability(
	{ rows }: Self,
	tx: Tx,
	availabilities: ReadonlyMap<string, boolean>,
): Promise<void> {
	const changed = await tx.query<{ parent_id: string | null }>(SET_AVAILABLE, [
		[...availabilities.keys()],
		[...availabilities.values()],
	]);
	if (changed.length === 0) return;
	const parents = [...new Set(changed.flatMap(({ parent_id }) => parent_id ?? []))];
	if (parents.length > 0) await tx.query(SET_PARENTS_AVAILABLE, [parents]);
	tx.handle.afterCommit(() => rows.whileInvalidated([], async () => undefined));
}

/** Handles events of the inventory: sets availabilities, invalidates lists after the commit. */
export async function followInventory(
	self: Self,
	tx: Tx,
	changes: readonly Availability[],
): Promise<void> {
	// The last state of each product counts.
	const latest = new Map(changes.map((one) => [one.product_id, one.is_available]));
	await tx.query(LOCK, [[...latest.keys()]]);
	await setAvailability(self, tx, latest);
}

/**
 * Sets the availability of products to that of their stock. The stock is read while the products
 * are locked: it is newer than all events that have been handled, and later ones wait.
 */
export async function correctAvailability(
	self: Self,
	ctx: { readonly call: Call },
	ids: readonly string[],
): Promise<void> {
	await self.db.transaction(async (tx) => {
		await tx.query(LOCK, [ids]);
		const options = { timeout: LOCKED_CALL_TIMEOUT_MS };
		const stocks = await ctx.call("inventory.resolve", { product_ids: [...ids] }, options);
		const current = stocks.flatMap((one) =>
			one ? [[one.product_id, one.available > 0] as const] : [],
		);
		await setAvailability(self, tx, new Map(current));
	});
}

const STALE = sql(
	"stale_availability",
	`select id from products p
		join unnest($1::uuid[], $2::boolean[]) as a (id, is_available) using (id)
	where variant_count = 0 and in_stock <> a.is_available`,
);
/**
 * Compares one page of stock records with the products, for products that are older than the events
 * and for lost events. Stock can change after the page was read, so it is read again.
 * @param after product ID after which the page begins
 * @returns the ID after which the next page begins; undefined after the last page
 */
async function comparePage(self: Self, call: Call, after: string): Promise<string | undefined> {
	const page = await call("inventory.auditStock", { after, limit: PAGE_SIZE });
	const stale = await self.db.query<{ id: string }>(STALE, [
		page.map(({ product_id }) => product_id),
		page.map(({ on_hand, reserved }) => on_hand > reserved),
	]);
	if (stale.length > 0)
		await correctAvailability(
			self,
			{ call },
			stale.map(({ id }) => id),
		);
	return page.length === PAGE_SIZE ? page.at(-1)!.product_id : undefined;
}

/**
 * Compares all products with the inventory at the start and every ten minutes. After an error, the
 * comparison continues with the same page.
 */
export function pollAvailability(
	self: Self & { readonly pollers: PollerGroup },
	call: Call,
	onError: (error: unknown) => void,
): Poller {
	let after: string | undefined = FIRST_ID;
	let pausedUntil = 0;
	const poller = self.pollers.start({
		intervalMs: RETRY_MS,
		async poll() {
			if (Date.now() < pausedUntil) return false;
			after = await comparePage(self, call, after ?? FIRST_ID);
			if (after === undefined) pausedUntil = Date.now() + COMPARISON_INTERVAL_MS;
			return after !== undefined;
		},
		onError,
	});
	poller.wake();
	return poller;
}
