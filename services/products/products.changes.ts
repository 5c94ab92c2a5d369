import type { CachesRows } from "../../lib/caching/change-row.ts";
import { currentTraceparent } from "../../lib/context/traceparent.ts";
import { changedFields } from "../../lib/contracts/changes.ts";
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
import type { Queryable, Tx } from "../../lib/persistence/database.ts";
import { newId } from "../../lib/persistence/id.ts";
import type { HasDurableEvents } from "../../mixins/durable-events.mixin.ts";
import type {} from "../inventory/inventory.contract.ts";
import { correctAvailability } from "./products.availability.ts";
import { products } from "./products.contract.ts";
import * as rules from "./products.rules.ts";
import * as statements from "./products.statements.ts";

type Product = rules.Product;
/** A product, or a variant with `parent_id`, `options` and `own_fields`, to insert. */
export interface NewProduct {
	readonly id: string;
	readonly parent_id?: string;
}
/** The service, as these functions use it. */
interface Self extends CachesRows<Product>, HasDurableEvents {
	insertProducts(tx: Pick<Tx, "query">, rows: readonly NewProduct[]): Promise<Product[]>;
	reportComparison(error: unknown): void;
}

/**
 * The action `products.createVariant`.
 * @throws the errors of the action's contract
 */
export async function createVariant(
	self: Self,
	ctx: Ctx<Infer<typeof products.actions.createVariant.params>>,
): Promise<Product> {
	const { id: parent_id, ...own } = ctx.params;
	const request = keyedRequest(ctx);
	const earlier = request && (await findKey(self.db, request));
	if (earlier) return replayResponse<Product>(ctx.meta, earlier);
	const [parent] = await self.db.query<Product>(statements.FIND_BY_IDS, [[parent_id]]);
	rules.variantOf(parent ?? throwError(products, "PRODUCT_NOT_FOUND"), own);

	const id = newId();
	await openStock(ctx, [{ id, stock: own.stock }]);
	const created = await self.rows.whileInvalidated([parent_id], () =>
		executeOnce(self.db, ctx, 201, async (tx) => {
			const row = { ...rules.variantOf(await lockProduct(tx, parent_id), own), id };
			const [inserted] = await self.insertProducts(tx, [row]).catch(rethrowConflict);
			if (!inserted) throwError(products, "SKU_TAKEN");
			await tx.query(statements.REFRESH_PARENTS, [[parent_id]]);
			return inserted;
		}),
	);
	self.wakeRelay();
	return created;
}

type Imported = Infer<typeof products.actions.import.params>["products"][number];
/** Inserts products with their variants. Products whose SKU is in use are left out. */
export async function importProducts(
	self: Self,
	ctx: Ctx,
	rows: readonly (Imported & { readonly id: string })[],
): Promise<Product[]> {
	const variants = rows.flatMap(({ id: parent_id, variants = [] }) =>
		variants.map((own) => ({ parent_id, own, id: newId() })),
	);
	const stocks = [...rows, ...variants.map(({ id, own }) => ({ id, stock: own.stock }))];
	await openStock(ctx, stocks);
	return self.rows.whileInvalidated([], () =>
		self.db.transaction(async (tx) => {
			const inserted = await self.insertProducts(tx, rows);
			const parents = new Map(inserted.map((one) => [one.id, one]));
			const ofInserted = variants.filter(({ parent_id }) => parents.has(parent_id));
			const family = ofInserted.map(({ parent_id, own, id }) => ({
				...rules.variantOf(parents.get(parent_id)!, own),
				id,
			}));
			if (family.length > 0) {
				await self.insertProducts(tx, family).catch(rethrowConflict);
				await tx.query(statements.REFRESH_PARENTS, [ofInserted.map((one) => one.parent_id)]);
			}
			return inserted;
		}),
	);
}

/**
 * Updates a product and the variants that inherit the changed fields. A changed field of a variant
 * becomes its own.
 * @throws the errors of the action `products.update`
 */
export const updateProduct = (
	self: Self,
	id: string,
	requested: rules.Changes,
	meta: Meta,
): Promise<Product & { variants: Product[] }> =>
	changeFamily(self, id, async (tx, before, parent) => {
		await assertIfMatch(tx, meta, before);
		rules.assertChanges(requested, before, parent);
		const { fields, inherit } = rules.withInherited(requested, parent);
		const changes = changedFields<rules.ChangedFields>(before, fields);
		const updated_fields = Object.keys(changes);
		if (updated_fields.length === 0 && inherit.length === 0) return withVariants(tx, before);
		if ("price" in changes || "currency" in changes) rules.assertPrice({ ...before, ...changes });

		const values = { ...before, ...changes };
		const [after] = await tx
			.query<Product>(statements.UPDATE_PRODUCT, [
				...rowOf(values),
				rules.ownFields(updated_fields),
				inherit,
			])
			.catch(rethrowConflict);
		if (updated_fields.length > 0)
			await self.publish(tx, "product.updated", id, { product_id: id, updated_fields });
		const inherited = rules.INHERITED.filter((field) => field in changes);
		if (before.variant_count > 0 && inherited.length > 0) {
			await tx.query(statements.INHERIT, [id, inherited, currentTraceparent()]);
			// The facets of a parent contain the attributes of its variants, which have just changed.
			if (inherited.includes("attributes")) await tx.query(statements.REFRESH_PARENTS, [[id]]);
		}
		if (parent && ["attributes", "options", "sku"].some((field) => field in changes))
			await tx.query(statements.REFRESH_PARENTS, [[parent.id]]);
		return withVariants(tx, after!);
	});

/**
 * Removes a product and its variants from the catalogue. A parent that has lost its last variant
 * gets the availability of its own stock: if the inventory fails, at the next comparison.
 * @throws the errors of the action `products.remove`
 */
export async function removeProduct(
	self: Self,
	ctx: Ctx<Infer<typeof products.actions.remove.params>>,
): Promise<void> {
	const { id } = ctx.params;
	const childless = await changeFamily(self, id, async (tx, before, parent) => {
		await assertIfMatch(tx, ctx.meta, before);
		await tx.query(statements.REMOVE_PRODUCT, [id, currentTraceparent()]);
		if (parent) await tx.query(statements.REFRESH_PARENTS, [[parent.id]]);
		return parent?.variant_count === 1 ? parent.id : undefined;
	});
	self.wakeRelay();
	if (childless)
		await correctAvailability(self, ctx, [childless]).catch((error) =>
			self.reportComparison(error),
		);
}

/**
 * Runs a transaction that changes a product, its parent or its variants. They are locked in the
 * order parent, variant, and no node caches them until the transaction has committed. It starts
 * again if a variant has been created since its rows were invalidated.
 * @throws PRODUCT_NOT_FOUND
 */
async function changeFamily<Result>(
	{ db, rows }: Self,
	id: string,
	change: (tx: Tx, product: Product, parent: Product | undefined) => Promise<Result>,
): Promise<Result> {
	for (;;) {
		const family = await familyOf(db, id);
		const parent_id = family.get(id);
		const changed = await rows.whileInvalidated(
			[...family.keys(), ...(parent_id ? [parent_id] : [])],
			() =>
				db.transaction(async (tx) => {
					const parent = parent_id ? await lockProduct(tx, parent_id) : undefined;
					const product = await lockProduct(tx, id);
					const current = product.variant_count > 0 ? await familyOf(tx, id) : family;
					if ([...current.keys()].some((one) => !family.has(one))) return undefined;
					return { result: await change(tx, product, parent) };
				}),
		);
		if (changed) return changed.result;
	}
}

/** Parents by ID, of a product and its variants. */
async function familyOf(db: Queryable, id: string): Promise<Map<string, string | null>> {
	const family = await db.query<{ id: string; parent_id: string | null }>(statements.FAMILY, [id]);
	return new Map(family.map((one) => [one.id, one.parent_id]));
}

/**
 * Creates the stock records of new products. Call it before inserting the products, so that no
 * reader sees a product without a stock record. The record of a product that is not inserted after
 * all is harmless.
 */
export const openStock = (
	ctx: Ctx,
	rows: readonly { readonly id: string; readonly stock: number }[],
): Promise<unknown> =>
	Promise.all(
		rows.map(({ id, stock }) => ctx.call("inventory.open", { product_id: id, on_hand: stock })),
	);

/** Locks a product until the transaction ends. @throws PRODUCT_NOT_FOUND */
async function lockProduct(tx: Tx, id: string): Promise<Product> {
	const [found] = await tx.query<Product>(statements.LOCK_PRODUCT, [id]);
	return found ?? throwError(products, "PRODUCT_NOT_FOUND");
}

/** The product as `products.get` returns it. */
async function withVariants(tx: Tx, product: Product): Promise<Product & { variants: Product[] }> {
	const variants =
		product.variant_count > 0 ? await tx.query<Product>(statements.VARIANTS, [product.id]) : [];
	return { ...product, variants };
}

/** @throws PRECONDITION_FAILED if If-Match does not contain the entity tag of the product */
async function assertIfMatch(tx: Tx, { if_match }: Meta, current: Product): Promise<void> {
	if (if_match && !matchesEtag(if_match, etagOf(await withVariants(tx, current)), "strong"))
		throw commonError("PRECONDITION_FAILED");
}

/** Values of {@link statements.UPDATE_PRODUCT}. */
function rowOf(after: Product): unknown[] {
	const { id, name, description, price, currency, category, sku } = after;
	const { option_names, attributes, images, options } = after;
	const json = [option_names, attributes, images, options].map(
		(value) => value && JSON.stringify(value),
	);
	return [id, name, description, price, currency, category, sku, ...json];
}

/** Rethrows a unique violation as SKU_TAKEN or VARIANT_EXISTS. */
function rethrowConflict(error: { code?: string; constraint?: string }): never {
	if (error.code !== "23505") throw error;
	throwError(products, error.constraint === "products_sku" ? "SKU_TAKEN" : "VARIANT_EXISTS");
}
