import { isDeepStrictEqual } from "node:util";
import type { RowError } from "../../../lib/contracts/transfers.ts";
import { INHERITED, MAX_VARIANTS, type Product } from "../products.rules.ts";
import {
	emptyProduct,
	fileSku,
	RowProblem,
	type StoredProduct,
	standAlone,
	toRowError,
	variant,
} from "./product.rules.ts";
import type { FileRow } from "./row.rules.ts";

/** A product to insert. */
interface NewRow extends StoredProduct {
	readonly row: number;
	readonly stock: number;
}
/** A product to update. */
interface Update {
	readonly before: StoredProduct;
	readonly after: StoredProduct;
	readonly updated_fields: readonly (keyof Product)[];
}
/** Changes that a batch of rows requires. */
export interface Plan {
	/** Parents precede their variants. */
	readonly creates: readonly NewRow[];
	readonly updates: readonly Update[];
	/** Number of rows that require no change. */
	readonly unchanged: number;
	readonly errors: readonly RowError[];
}

/** A product as the rows so far have changed it. */
interface State {
	product: StoredProduct;
	/** The stored product; undefined for a new one. */
	readonly before: StoredProduct | undefined;
	readonly row: number;
	readonly stock: number;
}

/** Fields whose change is published. */
const PUBLISHED = [...INHERITED, "option_names", "options"] as const;

/**
 * Plans the changes of a batch. Rows are compared with the stored products, and a row sees the
 * changes of the rows before it. A row that cannot be applied changes nothing.
 * @param stored products with the SKUs and parent SKUs of the rows, and the parents of variants
 * @param idOf ID of a new product by its SKU
 */
export function planRows(
	rows: readonly FileRow[],
	stored: readonly StoredProduct[],
	idOf: (sku: string) => string,
): Plan {
	const bySku = new Map<string, State>();
	const byId = new Map<string, State>();
	const add = (state: State) => {
		bySku.set(fileSku(state.product), state);
		byId.set(state.product.id, state);
	};
	for (const before of stored) add({ product: before, before, row: 0, stock: 0 });
	const changed = new Set<State>();
	const errors: RowError[] = [];
	let unchanged = 0;

	function apply(row: FileRow): boolean {
		const found = bySku.get(row.sku);
		const parent = found
			? byId.get(found.product.parent_id ?? "")
			: parentOf(row, (sku) => bySku.get(sku));
		const current = found?.product;
		const next = parent
			? variant(row, current, parent.product, idOf)
			: standAlone(row, current ?? emptyProduct(row.sku, idOf), current !== undefined);
		if (found && isDeepStrictEqual(definedBy(next), definedBy(found.product))) return false;
		const state = found ?? {
			product: next,
			before: undefined,
			row: row.row,
			stock: row.stock ?? 0,
		};
		state.product = next;
		if (!found) add(state);
		changed.add(state);
		if (parent && !found) adopt(parent, next);
		return true;
	}
	/** Counts a new variant. The first variant of a product without option names defines them. */
	function adopt(parent: State, { options }: StoredProduct): void {
		const { variant_count, option_names } = parent.product;
		if (!option_names) changed.add(parent);
		parent.product = {
			...parent.product,
			variant_count: variant_count + 1,
			option_names: option_names ?? Object.keys(options!),
		};
	}

	for (const row of rows) {
		try {
			if (!apply(row)) unchanged++;
		} catch (error) {
			errors.push(toRowError(row, error));
		}
	}
	return { ...changesOf(changed, byId), unchanged, errors };
}

/** The parent of a new variant; undefined for other rows. */
function parentOf({ parent_sku }: FileRow, find: (sku: string) => State | undefined) {
	if (!parent_sku) return undefined;
	const parent = find(parent_sku);
	if (!parent)
		throw new RowProblem(
			"parent_sku",
			`No product has the SKU ${parent_sku}: the row of the parent must come before its variants`,
		);
	if (parent.product.parent_id)
		throw new RowProblem("parent_sku", `${parent_sku} is a variant, which cannot have variants`);
	if (parent.product.variant_count >= MAX_VARIANTS)
		throw new RowProblem("parent_sku", `${parent_sku} has ${MAX_VARIANTS} variants, the maximum`);
	return parent;
}

/** The part of a product that a row defines: without the values that a variant inherits. */
function definedBy(product: StoredProduct): object {
	const { parent_id, own_fields, options, option_names } = product;
	const fields = parent_id ? INHERITED.filter((field) => own_fields.includes(field)) : INHERITED;
	return { options, option_names, fields: fields.map((field) => [field, product[field]]) };
}

function changesOf(changed: ReadonlySet<State>, byId: ReadonlyMap<string, State>) {
	const creates: NewRow[] = [];
	const updates: Update[] = [];
	for (const { product, before, row, stock } of changed) {
		const after = withInherited(product, byId.get(product.parent_id ?? "")?.product);
		if (!before) creates.push({ ...after, row, stock });
		else {
			const differs = (field: (typeof PUBLISHED)[number]) =>
				!isDeepStrictEqual(after[field], before[field]);
			updates.push({ before, after, updated_fields: PUBLISHED.filter(differs) });
		}
	}
	// Stable: products remain in the order of their rows.
	const variantsLast = (a: NewRow, b: NewRow) => Number(!!a.parent_id) - Number(!!b.parent_id);
	return { creates: creates.toSorted(variantsLast), updates };
}

/** A product with the current values of its parent. */
function withInherited(product: StoredProduct, parent: StoredProduct | undefined): StoredProduct {
	if (!parent) return product;
	const inherited = INHERITED.filter((field) => !product.own_fields.includes(field));
	return { ...product, ...Object.fromEntries(inherited.map((field) => [field, parent[field]])) };
}
