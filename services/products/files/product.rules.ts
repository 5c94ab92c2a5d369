import { isDeepStrictEqual } from "node:util";
import type { RowError } from "../../../lib/contracts/transfers.ts";
import {
	assertOptionNames,
	assertOptions,
	assertPrice,
	categoryPath,
	INHERITED,
	type Product,
} from "../products.rules.ts";
import type { FileRow } from "./row.rules.ts";

/** A row of the table, with the names of the fields that a variant defines itself. */
export type StoredProduct = Product & { readonly own_fields: readonly string[] };
/** SKU of a product in a file. A product without an SKU is identified by its ID. */
export const fileSku = ({ sku, id }: Pick<Product, "sku" | "id">): string => sku ?? id;

/** A row that cannot be applied. */
export class RowProblem extends Error {
	readonly field: string;
	constructor(field: string, message: string) {
		super(message);
		this.field = field;
	}
}

/** Describes why a row could not be applied. @throws errors that are not caused by the row */
export function toRowError({ row, sku }: FileRow, error: unknown): RowError {
	if (error instanceof RowProblem)
		return { row, key: sku, field: error.field, message: error.message };
	const { type, data } = error as { type?: string; data?: { errors?: Violation[] } };
	const violation = type === "VALIDATION_ERROR" ? data?.errors?.[0] : undefined;
	if (!violation) throw error;
	return { row, key: sku, field: violation.field || null, message: violation.message };
}
interface Violation {
	readonly field: string;
	readonly message: string;
}

const DEFAULT_CURRENCY = "EUR";
const MAX_ATTRIBUTES = 50;

/** A product before its first row is applied. */
export const emptyProduct = (sku: string, idOf: (sku: string) => string): StoredProduct => ({
	id: idOf(sku),
	sku,
	name: "",
	description: null,
	price: 0,
	currency: DEFAULT_CURRENCY,
	category: "",
	parent_id: null,
	options: null,
	option_names: null,
	own_fields: [],
	variant_count: 0,
	attributes: {},
	images: [],
	created_at: "",
	updated_at: "",
});

/**
 * A stand-alone product or a parent after its row is applied. A blank cell removes the description,
 * attributes and images, and keeps the currency and option names.
 * @throws RowProblem, VALIDATION_ERROR
 */
export function standAlone(row: FileRow, current: StoredProduct, exists: boolean): StoredProduct {
	if (row.parent_sku)
		throw new RowProblem("parent_sku", "The product exists and is no variant; use another SKU");
	if (row.options)
		throw new RowProblem("options", "Only a variant has options: parent_sku is missing");
	const category = required(row, "category", exists ? current.category : undefined);
	const next = {
		...current,
		name: required(row, "name", exists ? current.name : undefined),
		price: required(row, "price", exists ? current.price : undefined),
		category: row.category ? categoryPath(category) : category,
		currency: row.currency ?? current.currency,
		description: unlessBlank(row.description, current.description),
		option_names: row.option_names ?? current.option_names,
		attributes: attributesOf(row, current.attributes),
		images: imagesOf(row, current.images),
	};
	assertOptionNames(next);
	assertPrice(next);
	if (current.variant_count > 0 && !isDeepStrictEqual(next.option_names, current.option_names))
		throw new RowProblem(
			"option_names",
			"Option names cannot change while the product has variants",
		);
	return next;
}

function required<K extends "name" | "price" | "category">(
	row: FileRow,
	field: K,
	current: Product[K] | undefined,
): Product[K] {
	const given = row[field] as Product[K] | null | undefined;
	const value = given === undefined ? current : given;
	if (value === undefined || value === null)
		throw new RowProblem(field, `The '${field}' field is required`);
	return value;
}

/**
 * A variant after its row is applied. A blank cell inherits the parent's value. Values that are
 * inherited are those of `current`; `plan.rules.ts` replaces them.
 * @param current undefined for a new variant
 * @throws RowProblem, VALIDATION_ERROR
 */
export function variant(
	row: FileRow,
	current: StoredProduct | undefined,
	parent: StoredProduct,
	idOf: (sku: string) => string,
): StoredProduct {
	if (current && row.parent_sku !== undefined && row.parent_sku !== fileSku(parent))
		throw new RowProblem("parent_sku", `The variant belongs to ${fileSku(parent)}`);
	if (row.option_names)
		throw new RowProblem("option_names", "A variant cannot have variants of its own");
	const options = row.options ?? current?.options;
	if (!options) throw new RowProblem("options", "A variant needs a value for each option");
	const option_names = parent.option_names ?? Object.keys(options);
	assertOptions({ ...parent, option_names }, options);

	const before = current ?? { ...emptyProduct(row.sku, idOf), parent_id: parent.id };
	const own = new Map<string, unknown>(
		before.own_fields.map((field) => [field, before[field as keyof Product]]),
	);
	setOwn(own, "name", row.name);
	// In NDJSON, null is a value: the variant has no description.
	if (row.description === null && !row.attributeColumns) own.set("description", null);
	else setOwn(own, "description", row.description);
	setOwn(own, "category", row.category && categoryPath(row.category));
	setOwn(own, "attributes", ownAttributes(row, own.get("attributes")));
	setOwn(
		own,
		"images",
		row.images && imagesOf(row, (own.get("images") ?? parent.images) as Images),
	);
	setMoney(own, row, parent.currency);
	const next = {
		...before,
		...Object.fromEntries(own),
		options,
		own_fields: INHERITED.filter((field) => own.has(field)),
	};
	if (own.has("price")) assertPrice(next);
	return next;
}

/** Sets or, if the cell is blank, removes a variant's own value. An own value may be empty. */
function setOwn(own: Map<string, unknown>, field: string, value: unknown): void {
	if (value === undefined) return;
	if (value !== null) own.set(field, value);
	else if (!isEmpty(own.get(field))) own.delete(field);
}
const isEmpty = (value: unknown): boolean =>
	value === null ||
	value === "" ||
	(typeof value === "object" && Object.keys(value as object).length === 0);

/** Price and currency belong together: a variant defines both or none. */
function setMoney(own: Map<string, unknown>, row: FileRow, inherited: string): void {
	const price = row.price === undefined ? own.get("price") : row.price;
	const currency = row.currency === undefined ? own.get("currency") : row.currency;
	if (price === undefined || price === null) {
		if (currency && currency !== inherited)
			throw new RowProblem("price", "A variant with a currency of its own needs a price");
		own.delete("price");
		own.delete("currency");
		return;
	}
	own.set("price", price);
	own.set("currency", currency ?? inherited);
}

type Attributes = Product["attributes"];
type Images = Product["images"];

/** Keeps an empty text instead of null: a file cannot distinguish them. */
const unlessBlank = (given: string | null | undefined, current: string | null): string | null =>
	given === undefined || (given === null && current === "") ? current : given;

/** Attributes after a row is applied. Those of CSV without a column remain. */
function attributesOf(row: FileRow, current: Attributes): Attributes {
	if (row.attributes === undefined) return current;
	const columns = row.attributeColumns;
	const kept = columns ? Object.entries(current).filter(([name]) => !columns.includes(name)) : [];
	const attributes = { ...Object.fromEntries(kept), ...row.attributes };
	if (Object.keys(attributes).length > MAX_ATTRIBUTES)
		throw new RowProblem("attributes", `A product can have at most ${MAX_ATTRIBUTES} attributes`);
	return attributes;
}

/** A variant's own attributes; null if it has none after the row is applied. */
function ownAttributes(row: FileRow, own: unknown): Attributes | null | undefined {
	if (row.attributes === undefined) return undefined;
	const attributes = attributesOf(row, (own ?? {}) as Attributes);
	return row.attributes === null && isEmpty(attributes) ? null : attributes;
}

/** Images after a row is applied. CSV has no texts for them, so those of the same URL remain. */
function imagesOf({ images, attributeColumns }: FileRow, current: Images): Images {
	if (images === undefined) return current;
	if (!images || !attributeColumns) return images ?? [];
	const alts = new Map(current.map(({ url, alt }) => [url, alt]));
	return images.map(({ url }) => ({ url, alt: alts.get(url) ?? "" }));
}
