import { changeRow } from "../../lib/caching/change-row.ts";
import { cacheOf } from "../../lib/caching/lease-cache.ts";
import { currentTraceparent } from "../../lib/context/traceparent.ts";
import { assertNotEmpty, changedFields } from "../../lib/contracts/changes.ts";
import { type Ctx, type Meta, throwError } from "../../lib/contracts/contract.ts";
import { commonError } from "../../lib/contracts/errors.ts";
import { etagOf, matchesEtag } from "../../lib/contracts/etag.ts";
import type { Infer } from "../../lib/contracts/schema.ts";
import {
	executeOnce,
	findKey,
	keyedRequest,
	replayResponse,
} from "../../lib/idempotency/idempotency.ts";
import { alignRows } from "../../lib/persistence/align-rows.ts";
import type { Tx } from "../../lib/persistence/database.ts";
import { newId } from "../../lib/persistence/id.ts";
import { defineService } from "../../lib/service/define-service.ts";
import { database, records } from "../../mixins/database.mixin.ts";
import { durableEvents } from "../../mixins/durable-events.mixin.ts";
import { idempotency } from "../../mixins/idempotency.mixin.ts";
import type {} from "../inventory/inventory.contract.ts";
import { product } from "./products.contract.shapes.ts";
import { products } from "./products.contract.ts";
import { defineProduct } from "./products.models.ts";
import {
	assertOptionNames,
	assertPrice,
	assertRange,
	type Changes,
	categoryPath,
	type Product,
	searchWords,
} from "./products.rules.ts";
import { areRare, isAfter, matches, orderBy } from "./products.search.ts";
import * as statements from "./products.statements.ts";

/** A product to insert. */
type NewProduct = Infer<typeof products.actions.create.params> & { readonly id: string };

/** Lifetime of a cached product or result in milliseconds. A change invalidates it at once. */
const CACHE_TTL_MS = 60_000;

export default defineService(products)({
	mixins: [database, records<Product>(defineProduct), durableEvents, idempotency],

	created() {
		return { rows: cacheOf(this.broker).of<Product>("products", CACHE_TTL_MS, product) };
	},

	methods: {
		/** Inserts products whose SKU is free, with their events. Call `wakeRelay` after the commit. */
		insertProducts(tx: Pick<Tx, "query">, rows: readonly NewProduct[]): Promise<Product[]> {
			const ids = rows.map(({ id }) => id);
			const events = ids.map((product_id) => this.eventData("product.created", { product_id }));
			const values = [JSON.stringify(rows), ids, events, currentTraceparent()];
			return tx.query<Product>(statements.INSERT_PRODUCTS, values);
		},
	},

	actions: {
		async create(ctx) {
			const { sku } = ctx.params;
			assertPrice(ctx.params);
			assertOptionNames(ctx.params);
			const category = categoryPath(ctx.params.category);
			const isTaken = sku && (await this.db.query(statements.FIND_SKU, [sku])).length > 0;
			// Read after the SKU: a product and its key commit together, so a request that finds the
			// product also finds the key.
			const request = keyedRequest(ctx);
			const earlier = request && (await findKey(this.db, request));
			if (earlier) return replayResponse<Product>(ctx.meta, earlier);
			if (isTaken) throwError(products, "SKU_TAKEN");

			const rows = [{ ...ctx.params, category, id: newId() }];
			await openStock(ctx, rows);
			const created = await this.rows.whileInvalidated([], () =>
				executeOnce(this.db, ctx, 201, async (tx) => {
					const [inserted] = await this.insertProducts(tx, rows);
					return inserted ?? throwError(products, "SKU_TAKEN");
				}),
			);
			this.wakeRelay();
			return created;
		},

		async list(ctx) {
			const { skip, limit, sort, after, q, ...range } = ctx.params;
			assertRange(range);
			const words = q === undefined ? undefined : searchWords(q);
			const filter = { ...range, ...(words ? { words } : {}) };
			// `isRare` and the total take time in proportion to the catalog, and all pages share them.
			const isRare = words?.length
				? await this.rows.readResult(`rare ${JSON.stringify(words)}`, CACHE_TTL_MS, () =>
						areRare(this.db, words),
					)
				: false;
			return this.listRecords(ctx, {
				skip,
				limit,
				sort: orderBy(sort),
				where: matches(filter, isRare),
				...(after ? { pageFilter: isAfter(sort, after) } : {}),
				countRows: (count) =>
					this.rows.readResult(`total ${JSON.stringify(filter)}`, CACHE_TTL_MS, count),
			});
		},

		async get({ params: { id } }) {
			const [found] = await this.rows.readThrough([id], async () => [await this.findRecord(id)]);
			return found ?? throwError(products, "PRODUCT_NOT_FOUND");
		},

		async update({ params: { id, ...params }, meta }) {
			assertNotEmpty(params);
			assertOptionNames(params);
			const requested = params.category
				? { ...params, category: categoryPath(params.category) }
				: params;
			return changeRow(this, id, async (tx) => {
				const before = await lockProduct(tx, id);
				assertIfMatch(meta, before);
				const changes = changedFields<Changes>(before, requested);
				const updated_fields = Object.keys(changes);
				if (updated_fields.length === 0) return before;
				if ("price" in changes || "currency" in changes) assertPrice({ ...before, ...changes });

				const [after] = await tx
					.query<Product>(statements.UPDATE_PRODUCT, valuesOf({ ...before, ...changes }))
					.catch(rethrowSkuTaken);
				await this.publish(tx, "product.updated", id, { product_id: id, updated_fields });
				return after!;
			});
		},

		async remove({ params: { id }, meta }) {
			await changeRow(this, id, async (tx) => {
				assertIfMatch(meta, await lockProduct(tx, id));
				await tx.query(statements.REMOVE_PRODUCT, [id]);
				await this.publish(tx, "product.removed", id, { product_id: id });
			});
		},

		async resolve({ params: { ids } }) {
			return this.rows.readThrough(ids, async (missing) =>
				alignRows(missing, await this.db.query<Product>(statements.FIND_BY_IDS, [missing])),
			);
		},

		async import(ctx) {
			for (const one of ctx.params.products) assertPrice(one);
			const bySku = new Map(
				ctx.params.products.map((one) => [
					one.sku,
					{ ...one, category: categoryPath(one.category) },
				]),
			);
			// Includes removed products, so that they are not imported again.
			const used = await this.db.query<{ sku: string }>(statements.FIND_USED_SKUS, [
				[...bySku.keys()],
			]);
			for (const { sku } of used) bySku.delete(sku);
			if (bySku.size === 0) return { imported: 0 };

			const rows = [...bySku.values()].map((one) => ({ ...one, id: newId() }));
			await openStock(ctx, rows);
			const inserted = await this.rows.whileInvalidated([], () =>
				this.insertProducts(this.db, rows),
			);
			this.wakeRelay();
			return { imported: inserted.length };
		},
	},
});

/**
 * Creates the stock records of new products. Call it before inserting the products, so that no
 * reader sees a product without a stock record. The record of a product that is not inserted after
 * all is harmless.
 */
const openStock = (ctx: Ctx, rows: readonly NewProduct[]): Promise<unknown> =>
	Promise.all(
		rows.map(({ id, stock }) => ctx.call("inventory.open", { product_id: id, on_hand: stock })),
	);

/** Locks a product until the transaction ends. @throws PRODUCT_NOT_FOUND */
async function lockProduct(tx: Tx, id: string): Promise<Product> {
	const [found] = await tx.query<Product>(statements.LOCK_PRODUCT, [id]);
	return found ?? throwError(products, "PRODUCT_NOT_FOUND");
}

/** @throws PRECONDITION_FAILED if If-Match does not contain the entity tag of the product */
function assertIfMatch({ if_match }: Meta, current: Product): void {
	if (if_match && !matchesEtag(if_match, etagOf(current), "strong"))
		throw commonError("PRECONDITION_FAILED");
}

/** Values of {@link statements.UPDATE_PRODUCT}. */
const valuesOf = (after: Product): unknown[] => {
	const { id, name, description, price, currency, category, sku } = after;
	const { option_names, attributes, images } = after;
	const names = option_names && JSON.stringify(option_names);
	const json = [names, JSON.stringify(attributes), JSON.stringify(images)];
	return [id, name, description, price, currency, category, sku, ...json];
};

/** Rethrows a unique violation as SKU_TAKEN. */
function rethrowSkuTaken(error: { code?: string }): never {
	if (error.code === "23505") throwError(products, "SKU_TAKEN");
	throw error;
}
