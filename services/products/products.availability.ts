import { type Poller, startPoller } from "../../lib/async/poller.ts";
import type { Cached } from "../../lib/caching/lease-cache.ts";
import type { Call } from "../../lib/contracts/contract.ts";
import { type Database, type Queryable, sql, type Tx } from "../../lib/persistence/database.ts";
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
const SET_PARENTS_AVAILABLE = sql(
	"set_parents_available",
	`update products p set in_stock = not in_stock
	where id = any($1::uuid[]) and in_stock <> exists (
		select from products v where v.parent_id = p.id and v.deleted_at is null and v.in_stock)`,
);

/** Sets the availability of products and of their parents. Returns whether one has changed. */
async function setAvailability(tx: Queryable, changes: readonly Availability[]): Promise<boolean> {
	// The last state of each product counts.
	const latest = new Map(changes.map((one) => [one.product_id, one.is_available]));
	const ids = [...latest.keys()];
	await tx.query(LOCK, [ids]);
	const changed = await tx.query<{ parent_id: string | null }>(SET_AVAILABLE, [
		ids,
		[...latest.values()],
	]);
	const parents = [...new Set(changed.flatMap(({ parent_id }) => parent_id ?? []))];
	if (parents.length > 0) await tx.query(SET_PARENTS_AVAILABLE, [parents]);
	return changed.length > 0;
}

interface Self {
	readonly db: Database;
	readonly rows: Cached<Product>;
}
/** Handles events of the inventory: sets availabilities, invalidates lists after the commit. */
export async function followInventory(
	{ rows }: Self,
	tx: Tx,
	changes: readonly Availability[],
): Promise<void> {
	if (await setAvailability(tx, changes))
		tx.handle.afterCommit(() => rows.whileInvalidated([], async () => undefined));
}

const STALE = sql(
	"stale_availability",
	`select p.id as product_id, a.is_available from products p
		join unnest($1::uuid[], $2::boolean[]) as a (id, is_available) using (id)
	where variant_count = 0 and in_stock <> a.is_available`,
);
const findStale = (db: Queryable, changes: readonly Availability[]) =>
	db.query<{ product_id: string; is_available: boolean }>(STALE, [
		changes.map((one) => one.product_id),
		changes.map((one) => one.is_available),
	]);

/**
 * Compares one page of stock records with the products, for products that are older than the events
 * and for lost events.
 * @param after product ID after which the page begins
 * @returns the ID after which the next page begins; undefined after the last page
 */
async function comparePage(
	{ db, rows }: Self,
	call: Call,
	after: string,
): Promise<string | undefined> {
	const page = await call("inventory.auditStock", { after, limit: PAGE_SIZE });
	const changes = page.map(({ product_id, on_hand, reserved }) => ({
		product_id,
		is_available: on_hand > reserved,
	}));
	const stale = await findStale(db, changes);
	if (stale.length > 0)
		await rows.whileInvalidated([], () => db.transaction((tx) => setAvailability(tx, stale)));
	return page.length === PAGE_SIZE ? page.at(-1)!.product_id : undefined;
}

/**
 * Compares all products with the inventory at the start and every ten minutes. After an error, the
 * comparison continues with the same page.
 */
export function pollAvailability(
	self: Self,
	call: Call,
	onError: (error: unknown) => void,
): Poller {
	let after: string | undefined = FIRST_ID;
	let pausedUntil = 0;
	const poller = startPoller({
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
