import { pollerGroup } from "../../lib/async/poller.ts";
import { cacheOf } from "../../lib/caching/lease-cache.ts";
import { currentTraceparent } from "../../lib/context/traceparent.ts";
import { assertNotEmpty } from "../../lib/contracts/changes.ts";
import { compileShape } from "../../lib/contracts/compile-shape.ts";
import { callerOf, throwError } from "../../lib/contracts/contract.ts";
import type { Infer } from "../../lib/contracts/schema.ts";
import {
	executeOnce,
	findKey,
	keyedRequest,
	replayResponse,
} from "../../lib/idempotency/idempotency.ts";
import { alignRows } from "../../lib/persistence/align-rows.ts";
import { analyzeAfterGrowth } from "../../lib/persistence/analyze-after-growth.ts";
import type { Tx } from "../../lib/persistence/database.ts";
import { newId } from "../../lib/persistence/id.ts";
import { afterStart } from "../../lib/service/after-start.ts";
import { defineService } from "../../lib/service/define-service.ts";
import { database } from "../../mixins/database.mixin.ts";
import { durableEvents } from "../../mixins/durable-events.mixin.ts";
import { idempotency } from "../../mixins/idempotency.mixin.ts";
import { records } from "../../mixins/records.mixin.ts";
import { exportPart } from "./files/export.ts";
import { importBatch } from "./files/import.ts";
import type { RowCheck } from "./files/row.rules.ts";
import { followInventory, pollAvailability } from "./products.availability.ts";
import { categoryTree, hasSubcategories, renameCategory } from "./products.categories.ts";
import {
	createVariant,
	importProducts,
	type NewProduct,
	openStock,
	removeProduct,
	updateProduct,
} from "./products.changes.ts";
import { fileRow } from "./products.contract.files.ts";
import { type filters, product } from "./products.contract.shapes.ts";
import { products } from "./products.contract.ts";
import { countFacets } from "./products.facets.ts";
import { type Filter, matches } from "./products.filters.ts";
import { defineProduct } from "./products.models.ts";
import {
	assertOptionNames,
	assertPrice,
	assertRange,
	categoryPath,
	normalizedChanges,
	type Product,
	searchWords,
	trimmedCategory,
} from "./products.rules.ts";
import { isAfter, orderBy, searchableWords, sortOrder } from "./products.search.ts";
import { addNewWords } from "./products.spelling.ts";
import * as statements from "./products.statements.ts";

/** Lifetime of a cached product or result in milliseconds. A change invalidates it at once. */
const CACHE_TTL_MS = 60_000;
/** Milliseconds after which words of new products can correct those of a search. */
const NEW_WORDS_INTERVAL_MS = 1000;
/** Delay of the words of products that change after a time without changes. */
const NEW_WORDS_IDLE_MS = 5000;

export default defineService(products)({
	mixins: [database, records<Product>(defineProduct), durableEvents, idempotency],

	created() {
		return {
			rows: cacheOf(this.broker).of<Product>("products", CACHE_TTL_MS, product),
			pollers: pollerGroup(),
			/** Prevents the first comparison with the inventory. */
			cancelComparison: () => {},
			checkRow: compileShape(this.broker, fileRow) as RowCheck,
		};
	},

	methods: {
		/**
		 * Adds removed products to those of the catalogue. They are not cached, because the cache
		 * contains only products that can be sold.
		 */
		async withRemoved(
			ids: readonly string[],
			found: readonly (Product | null)[],
		): Promise<(Product | null)[]> {
			const missing = ids.filter((_id, i) => !found[i]);
			if (missing.length === 0) return [...found];
			const rows = await this.db.query<Product>(statements.FIND_WITH_REMOVED, [missing]);
			const removed = alignRows(ids, rows);
			return found.map((product, i) => product ?? removed[i]!);
		},
		/** Variants of a product, in the order of their creation. */
		variantsOf(id: string): Promise<Product[]> {
			return this.rows.readResult(`variants ${id}`, CACHE_TTL_MS, () =>
				this.db.query<Product>(statements.VARIANTS, [id]),
			);
		},
		/**
		 * The filter of a list. Its parts that depend on the catalogue are cached, because all pages
		 * share them and they take time in proportion to the catalogue.
		 */
		async filterOf({ category, q, ...rest }: Infer<typeof filters>): Promise<Filter> {
			assertRange(rest);
			const path = category === undefined ? undefined : trimmedCategory(category);
			const list = q === undefined ? undefined : searchWords(q);
			const [isBranch, words] = await Promise.all([
				path !== undefined &&
					this.rows.readResult(`branch ${path}`, CACHE_TTL_MS, () =>
						hasSubcategories(this.db, path),
					),
				list &&
					this.rows.readResult(`words ${JSON.stringify(list)}`, CACHE_TTL_MS, () =>
						searchableWords(this.db, list),
					),
			]);
			return {
				...rest,
				...(path === undefined ? {} : { category: { path, isBranch } }),
				...(words ? { words } : {}),
			};
		},
		/**
		 * Adds the words of changed products to the search, and analyzes a catalogue that has grown.
		 * Returns the result of {@link addNewWords}.
		 */
		async indexChanges(): Promise<boolean | number> {
			const found = await addNewWords(this.db);
			if (found !== Number.POSITIVE_INFINITY) await analyzeAfterGrowth(this.db, "products");
			return found;
		},
		reportComparison(error: unknown): void {
			this.logger.warn("Availability could not be compared with the inventory; will retry", {
				error,
			});
		},
		/** Inserts products whose SKU is free, with their events. Call `wakeRelay` after the commit. */
		insertProducts(tx: Pick<Tx, "query">, rows: readonly NewProduct[]): Promise<Product[]> {
			const ids = rows.map(({ id }) => id);
			const events = rows.map(({ id, parent_id }) =>
				this.eventData("product.created", { product_id: id, ...(parent_id ? { parent_id } : {}) }),
			);
			const values = [JSON.stringify(rows), ids, events, currentTraceparent()];
			return tx.query<Product>(statements.INSERT_PRODUCTS, values);
		},
	},

	actions: {
		async createVariant(ctx) {
			return createVariant(this, ctx);
		},

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
			const { skip, limit, sort = "relevance", after, ...filters } = ctx.params;
			const filter = await this.filterOf(filters);
			const order = sortOrder(sort, filter.words);
			const page = await this.listRecords(ctx, {
				skip,
				limit,
				sort: orderBy(order),
				where: matches(filter),
				...(after ? { pageFilter: isAfter(order, after) } : {}),
				countRows: (count) =>
					this.rows.readResult(`total ${JSON.stringify(filters)}`, CACHE_TTL_MS, count),
			});
			return filter.words?.isCorrected ? { ...page, corrected: filter.words.list.join(" ") } : page;
		},

		async get({ params: { id } }) {
			const [found] = await this.rows.readThrough([id], async () => [await this.findRecord(id)]);
			if (!found) throwError(products, "PRODUCT_NOT_FOUND");
			const variants = found.variant_count > 0 ? await this.variantsOf(id) : [];
			return { ...found, variants };
		},

		async update({ params: { id, ...params }, meta }) {
			assertNotEmpty(params);
			return updateProduct(this, id, normalizedChanges(params), meta);
		},

		async remove(ctx) {
			await removeProduct(this, ctx);
		},

		async facets({ params }) {
			const filter = await this.filterOf(params);
			return countFacets({ db: this.db, model: this.model, filter });
		},

		async categories() {
			return categoryTree(this.db);
		},

		async renameCategory(ctx) {
			const result = await renameCategory(this, ctx);
			this.wakeRelay();
			return result;
		},

		async variants({ params: { id } }) {
			return this.variantsOf(id);
		},

		async resolve({ params: { ids, include_removed } }) {
			const found = await this.rows.readThrough(ids, async (missing) =>
				alignRows(missing, await this.db.query<Product>(statements.FIND_BY_IDS, [missing])),
			);
			return include_removed ? this.withRemoved(ids, found) : found;
		},

		importRows(ctx) {
			return importBatch(this, ctx, ctx.params);
		},

		exportRows(ctx) {
			return exportPart(this, ctx, ctx.params);
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
			const inserted = await importProducts(this, ctx, rows);
			this.wakeRelay();
			return { imported: inserted.length };
		},
	},

	subscriptions: {
		async "inventory.availability_changed"(tx, events) {
			await followInventory(
				this,
				tx,
				events.map(({ data }) => data),
			);
		},
	},

	started() {
		// The inventory may run in this process and start later.
		this.cancelComparison = afterStart(this.broker, () =>
			pollAvailability(this, callerOf(this), (error) => this.reportComparison(error)),
		);
		this.pollers.start({
			intervalMs: NEW_WORDS_INTERVAL_MS,
			idleMs: NEW_WORDS_IDLE_MS,
			poll: () => this.indexChanges(),
			onError: (error) =>
				this.logger.warn("New words could not be added to the search; will retry", { error }),
		});
	},

	async stopped() {
		this.cancelComparison();
		await this.pollers.stop();
	},
});
