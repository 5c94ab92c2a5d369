import { type Cached, cacheOf } from "../../lib/caching/lease-cache.ts";
import { currentTraceparent } from "../../lib/context/traceparent.ts";
import {
	type Ctx,
	implement,
	type Meta,
	type ServiceThis,
	throwError,
} from "../../lib/contracts/contract.ts";
import { commonError } from "../../lib/contracts/errors.ts";
import { etagOf, matchesEtag } from "../../lib/contracts/etag.ts";
import type { Infer } from "../../lib/contracts/schema.ts";
import {
	executeOnce,
	findKey,
	keyedRequest,
	replayResponse,
} from "../../lib/idempotency/idempotency.ts";
import { sql, type Tx } from "../../lib/persistence/database.ts";
import { newId } from "../../lib/persistence/id.ts";
import { database, type HasDatabase, records } from "../../mixins/database.mixin.ts";
import { durableEvents, type HasDurableEvents } from "../../mixins/durable-events.mixin.ts";
import { idempotency } from "../../mixins/idempotency.mixin.ts";
import type {} from "../inventory/inventory.contract.ts";
import { product, products } from "./products.contract.ts";
import { afterProduct, areRare, defineProduct, matching, order } from "./products.models.ts";
import {
	assertPrice,
	assertRange,
	assertWantsSomething,
	changesOf,
	type Product,
	searchWords,
} from "./products.rules.ts";

type Self = ServiceThis & HasDatabase & HasDurableEvents & { rows: Cached<Product> };
type NewProduct = Infer<typeof products.actions.create.params>;

/** Milliseconds that a row may be kept; changes end that at once. */
const KEPT_MS = 60_000;

const COLUMNS = Object.keys(product).join(", ");

/** `$1` is the products as JSON, `$2` and `$3` their ids and events, `$4` the trace. */
const ADD = sql(
	"add",
	`with made as (insert into products (id, name, description, price, currency, category, sku)
			select id, name, description, price, currency, category, sku from json_to_recordset($1)
				as p (id uuid, name text, description text, price numeric, currency text, category text, sku text)
			on conflict (sku) where deleted_at is null do nothing returning ${COLUMNS}),
		told as (insert into outbox (type, subject, data, traceparent)
			select 'product.created', id::text, fact, $4::text from made join unnest($2::uuid[], $3::json[]) as f (id, fact) using (id) order by id)
	select ${COLUMNS} from made`,
);
const LOCK = sql(
	"lock",
	`select ${COLUMNS} from products where id = $1 and deleted_at is null for update`,
);
const CHANGE = sql(
	"change",
	`update products set name = $2, description = $3, price = $4, currency = $5, category = $6, sku = $7, updated_at = now()
	where id = $1 returning ${COLUMNS}`,
);
const REMOVE = sql("remove", "update products set deleted_at = now() where id = $1");
const BY_IDS = sql(
	"by_ids",
	`select ${COLUMNS} from products where id = any($1::uuid[]) and deleted_at is null`,
);
const IS_TAKEN = sql("is_taken", "select from products where sku = $1 and deleted_at is null");
const EVER_HAD = sql("ever_had", "select distinct sku from products where sku = any($1)");

export default implement(
	products,
	database,
	records<Product>(defineProduct),
	durableEvents,
	idempotency,
).with({
	setup() {
		return { rows: cacheOf(this.broker).of<Product>("products", KEPT_MS, product) };
	},

	actions: {
		async create(ctx) {
			const { sku } = ctx.params;
			assertPrice(ctx.params);
			const taken = sku && (await this.db.query(IS_TAKEN, [sku])).length > 0;
			// Read after the SKU: a product and its key commit together, so a request that finds the
			// product also finds the key.
			const request = keyedRequest(ctx);
			const earlier = request && (await findKey(this.db, request));
			if (earlier) return replayResponse<Product>(ctx.meta, earlier);
			if (taken) throwError(products, "SKU_TAKEN");
			const values = await openBooks(this, ctx, [ctx.params]);
			const made = await this.rows.whileInvalidated([], () =>
				executeOnce(this.db, ctx, 201, async (tx) => {
					const [made] = await tx.query<Product>(ADD, values);
					return made ?? throwError(products, "SKU_TAKEN");
				}),
			);
			this.wakeRelay();
			return made;
		},

		async list(ctx) {
			const { skip, limit, sort, after, q, ...range } = ctx.params;
			assertRange(range);
			const words = q === undefined ? undefined : searchWords(q);
			const filter = { ...range, ...(words ? { words } : {}) };
			// Both take as long as the catalogue is large, and all pages have them in common.
			const kept = <A>(what: string, of: object, make: () => Promise<A>) =>
				this.rows.readResult(`${what} ${JSON.stringify(of)}`, KEPT_MS, make);
			const rare = words?.length ? await kept("rare", words, () => areRare(this.db, words)) : false;
			return this.listRecords(ctx, {
				skip,
				limit,
				sort: order(sort),
				where: matching(filter, rare),
				...(after ? { pageFilter: afterProduct(sort, after) } : {}),
				countRows: (count) => kept("total", filter, count),
			});
		},

		async get({ params: { id } }) {
			const [found] = await this.rows.readThrough([id], async ([id]) => [
				await this.findRecord(id!),
			]);
			return found ?? throwError(products, "PRODUCT_NOT_FOUND");
		},

		async update({ params: { id, ...wanted }, meta }) {
			assertWantsSomething(wanted);
			return changing(this, id, async (tx) => {
				const before = await lock(tx, id);
				assertMatches(meta, before);
				const changes = changesOf(before, wanted);
				const updated_fields = Object.keys(changes);
				if (updated_fields.length === 0) return before;
				if ("price" in changes || "currency" in changes) assertPrice({ ...before, ...changes });
				const { name, description, price, currency, category, sku } = { ...before, ...changes };
				const [after] = await tx
					.query<Product>(CHANGE, [id, name, description, price, currency, category, sku])
					.catch(skuTaken);
				await this.publish(tx, "product.updated", id, { product_id: id, updated_fields });
				return after!;
			});
		},

		async remove({ params: { id }, meta }) {
			await changing(this, id, async (tx) => {
				assertMatches(meta, await lock(tx, id));
				await tx.query(REMOVE, [id]);
				await this.publish(tx, "product.removed", id, { product_id: id });
			});
		},

		async resolve({ params: { ids } }) {
			return this.rows.readThrough(ids, async (missing) => {
				const rows = await this.db.query<Product>(BY_IDS, [missing]);
				const found = new Map(rows.map((row) => [row.id, row]));
				return missing.map((id) => found.get(id) ?? null);
			});
		},

		async import(ctx) {
			for (const one of ctx.params.products) assertPrice(one);
			const wanted = new Map(ctx.params.products.map((one) => [one.sku, one]));
			// What was taken out of the catalogue later stays out.
			for (const { sku } of await this.db.query<{ sku: string }>(EVER_HAD, [[...wanted.keys()]]))
				wanted.delete(sku);
			if (wanted.size === 0) return { imported: 0 };
			const values = await openBooks(this, ctx, [...wanted.values()]);
			const made = await this.rows.whileInvalidated([], () => this.db.query<Product>(ADD, values));
			this.wakeRelay();
			return { imported: made.length };
		},
	},
});

/** Creates the stock records of new products and returns the parameters of ADD. */
async function openBooks(self: Self, ctx: Ctx, wanted: readonly NewProduct[]): Promise<unknown[]> {
	const rows = wanted.map((one) => ({ ...one, id: newId() }));
	// Before the products, so that no reader sees one without a stock record. The record of a
	// product that is not added after all is harmless.
	await Promise.all(
		rows.map(({ id, stock }) => ctx.call("inventory.open", { product_id: id, on_hand: stock })),
	);
	const ids = rows.map(({ id }) => id);
	const facts = ids.map((product_id) => self.eventData("product.created", { product_id }));
	return [JSON.stringify(rows), ids, facts, currentTraceparent()];
}

/** Changes one product, for all readers at once. */
const changing = <R>({ db, rows }: Self, id: string, change: (tx: Tx) => Promise<R>): Promise<R> =>
	rows.whileInvalidated([id], () => db.transaction(change));

/** Holds the product until the transaction ends. */
async function lock(tx: Tx, id: string): Promise<Product> {
	const [found] = await tx.query<Product>(LOCK, [id]);
	return found ?? throwError(products, "PRODUCT_NOT_FOUND");
}

/** @throws PRECONDITION_FAILED if the caller named another version of the product in If-Match */
function assertMatches({ if_match }: Meta, current: Product): void {
	if (if_match && !matchesEtag(if_match, etagOf(current), "strong"))
		throw commonError("PRECONDITION_FAILED");
}

function skuTaken(error: { code?: string }): never {
	if (error.code === "23505") throwError(products, "SKU_TAKEN");
	throw error;
}
