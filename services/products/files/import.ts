import { isDeepStrictEqual } from "node:util";
import type { Cached } from "../../../lib/caching/lease-cache.ts";
import { currentTraceparent } from "../../../lib/context/traceparent.ts";
import type { Ctx } from "../../../lib/contracts/contract.ts";
import { invalidField } from "../../../lib/contracts/errors.ts";
import type { RowError, UploadBatch, UploadResult } from "../../../lib/contracts/transfers.ts";
import type { Database, Tx } from "../../../lib/persistence/database.ts";
import { isUuid, newId } from "../../../lib/persistence/id.ts";
import type {} from "../../inventory/inventory.contract.ts";
import { INHERITED, type Product } from "../products.rules.ts";
import { INHERIT, REFRESH_PARENTS } from "../products.statements.ts";
import { type Plan, planRows } from "./plan.rules.ts";
import { fileSku, type StoredProduct } from "./product.rules.ts";
import { type FileRow, problemOfColumns, type RowCheck, rowReader } from "./row.rules.ts";
import * as statements from "./statements.ts";

/** The service, as an import uses it. */
interface Self {
	readonly db: Database;
	readonly rows: Cached<Product>;
	readonly checkRow: RowCheck;
	wakeRelay(): void;
}

/** Attempts to apply a batch whose products other transactions change. */
const ATTEMPTS = 10;
const UNIQUE_VIOLATION = "23505";
const DEADLOCK = "40P01";

/** A product has changed since it was read: the batch is planned again. */
class StaleError extends Error {}
/** Products that could not be inserted, by SKU: their SKU or their options are taken. */
class TakenError extends Error {
	readonly skus: ReadonlySet<string>;
	constructor(skus: readonly string[]) {
		super();
		this.skus = new Set(skus);
	}
}

/**
 * Applies a batch of rows, all valid rows in one transaction. Writes nothing if no row requires a
 * change. Repeating a batch has no further effect.
 * @throws VALIDATION_ERROR for the header
 */
export async function importBatch(
	self: Self,
	ctx: Ctx,
	{ format, columns, rows }: UploadBatch,
): Promise<UploadResult> {
	const problem = format === "csv" ? problemOfColumns(columns) : undefined;
	if (problem) throw invalidField("", "COLUMN", problem);
	const read = rowReader(format, columns, self.checkRow);
	const valid: FileRow[] = [];
	const errors: RowError[] = [];
	for (const row of rows) {
		const one = read(row);
		if ("message" in one) errors.push(one);
		else valid.push(one);
	}
	const result = await applyRows(self, ctx, valid);
	return { ...result, errors: [...errors, ...result.errors] };
}

async function applyRows(self: Self, ctx: Ctx, all: readonly FileRow[]): Promise<UploadResult> {
	const ids = new Map<string, string>();
	const idOf = (sku: string) => ids.get(sku) ?? ids.set(sku, newId()).get(sku)!;
	const opened = new Set<string>();
	const refused: RowError[] = [];
	let rows = all;
	for (let attempt = 1; ; attempt++) {
		const stored = await findReferenced(self.db, rows);
		const plan = planRows(rows, stored, idOf);
		if (plan.creates.length + plan.updates.length === 0) return resultOf(rows, plan, refused);
		await openStock(ctx, plan, opened);
		try {
			await write(self, plan, stored);
			self.wakeRelay();
			return resultOf(rows, plan, refused);
		} catch (error) {
			const { code } = error as { code?: string };
			if (code === UNIQUE_VIOLATION) return applyHalves(self, ctx, rows, refused);
			const isRace =
				error instanceof StaleError || error instanceof TakenError || code === DEADLOCK;
			if (!isRace || attempt === ATTEMPTS) throw error;
			// An SKU that was taken meanwhile is found by the next attempt; options are not.
			if (!(error instanceof TakenError) || attempt === 1) continue;
			const isRefused = ({ sku, options }: FileRow) => error.skus.has(sku) && !!options;
			refused.push(...rows.filter(isRefused).map(optionsTaken));
			rows = rows.filter((row) => !isRefused(row));
		}
	}
}

const optionsTaken = ({ row, sku }: FileRow): RowError => ({
	row,
	key: sku,
	field: "options",
	message: "Another variant of the product has these options",
});

/** Applies two halves of a batch in which a changed variant has the options of another one. */
async function applyHalves(
	self: Self,
	ctx: Ctx,
	rows: readonly FileRow[],
	refused: readonly RowError[],
): Promise<UploadResult> {
	if (rows.length === 1)
		return { created: 0, updated: 0, unchanged: 0, errors: [...refused, optionsTaken(rows[0]!)] };
	const a = await applyRows(self, ctx, rows.slice(0, rows.length >> 1));
	const b = await applyRows(self, ctx, rows.slice(rows.length >> 1));
	return {
		created: a.created + b.created,
		updated: a.updated + b.updated,
		unchanged: a.unchanged + b.unchanged,
		errors: [...refused, ...a.errors, ...b.errors],
	};
}

function resultOf(rows: readonly FileRow[], plan: Plan, refused: readonly RowError[]) {
	const { creates, unchanged, errors } = plan;
	const created = creates.length;
	const updated = rows.length - created - unchanged - errors.length;
	return { created, updated, unchanged, errors: [...refused, ...errors] };
}

/** Finds the products that rows name, and the parents of variants among them. */
function findReferenced(db: Database, rows: readonly FileRow[]): Promise<StoredProduct[]> {
	const named = rows.flatMap(({ sku, parent_sku }) => (parent_sku ? [sku, parent_sku] : [sku]));
	const skus = [...new Set(named)];
	return db.query<StoredProduct & object>(statements.FIND_REFERENCED, [skus, skus.filter(isUuid)]);
}

/**
 * Creates the stock records of new products before the products, so that no reader sees a product
 * without one. The record of a product that is not inserted after all is harmless. The stock of an
 * existing product is not changed (docs/adr/0030).
 */
async function openStock(ctx: Ctx, { creates }: Plan, opened: Set<string>): Promise<void> {
	const products = creates
		.filter(({ id }) => !opened.has(id))
		.map(({ id, stock }) => ({ product_id: id, on_hand: stock }));
	if (products.length === 0) return;
	await ctx.call("inventory.openMany", { products });
	for (const { product_id } of products) opened.add(product_id);
}

/** @throws StaleError, TakenError */
async function write({ db, rows }: Self, plan: Plan, stored: readonly StoredProduct[]) {
	const { creates, updates } = plan;
	const known = new Map(stored.map((one) => [one.id, one]));
	const parents = [...creates, ...updates.map(({ after }) => after)].flatMap(({ parent_id }) =>
		parent_id && known.has(parent_id) ? [parent_id] : [],
	);
	const locked = [...new Set([...updates.map(({ before }) => before.id), ...parents])];
	const inheriting = updates.filter(
		({ before, updated_fields }) =>
			before.variant_count > 0 && INHERITED.some((field) => updated_fields.includes(field)),
	);
	const heirs = await variantIds(
		db,
		inheriting.map(({ before }) => before.id),
	);
	await rows.whileInvalidated([...new Set([...locked, ...heirs])], () =>
		db.transaction(async (tx) => {
			await assertUnchanged(tx, locked, known);
			await insert(tx, plan);
			await update(tx, plan);
			for (const { before, updated_fields } of inheriting) {
				const fields = INHERITED.filter((field) => updated_fields.includes(field));
				await tx.query(INHERIT, [before.id, fields, currentTraceparent()]);
			}
			await tx.query(REFRESH_PARENTS, [parentsToRefresh(plan)]);
		}),
	);
}

async function variantIds(db: Database, parents: readonly string[]): Promise<string[]> {
	if (parents.length === 0) return [];
	const found = await db.query<{ id: string }>(statements.FIND_VARIANT_IDS, [parents]);
	return found.map(({ id }) => id);
}

/** Locks products. @throws StaleError if one has changed since it was read, or has a new variant */
async function assertUnchanged(
	tx: Tx,
	ids: readonly string[],
	known: ReadonlyMap<string, StoredProduct>,
): Promise<void> {
	if (ids.length === 0) return;
	const current = await tx.query<StoredProduct & object>(statements.LOCK_PRODUCTS, [ids]);
	const isSame = (one: StoredProduct) => isDeepStrictEqual({ ...one }, { ...known.get(one.id) });
	if (current.length < ids.length || !current.every(isSame)) throw new StaleError();
}

async function insert(tx: Tx, { creates }: Plan): Promise<void> {
	if (creates.length === 0) return;
	const values = [JSON.stringify(creates), currentTraceparent()];
	const found = await tx.query<{ id: string }>(statements.INSERT_ROWS, values);
	if (found.length === creates.length) return;
	const inserted = new Set(found.map(({ id }) => id));
	throw new TakenError(creates.filter(({ id }) => !inserted.has(id)).map(fileSku));
}

async function update(tx: Tx, { updates }: Plan): Promise<void> {
	if (updates.length === 0) return;
	const values = updates.map(({ after, updated_fields }) => ({ ...after, updated_fields }));
	await tx.query(statements.UPDATE_ROWS, [JSON.stringify(values), currentTraceparent()]);
}

/** Parents whose variants have been created or have other facets, possibly inherited ones. */
function parentsToRefresh({ creates, updates }: Plan): string[] {
	const changed = updates.filter(({ updated_fields }) =>
		updated_fields.some((field) => field === "attributes" || field === "options"),
	);
	const variants = [...creates, ...changed.map(({ after }) => after)];
	const parents = changed.flatMap(({ before }) => (before.variant_count > 0 ? [before.id] : []));
	return [...new Set([...variants.flatMap(({ parent_id }) => parent_id ?? []), ...parents])].sort();
}
