import { digitsOf } from "../../../lib/money/currency.ts";
import type { Product } from "../products.rules.ts";
import { formatAttribute, joinList } from "./cells.rules.ts";
import { fileSku, type StoredProduct } from "./product.rules.ts";
import { ATTRIBUTE, COLUMNS, OPTION } from "./row.rules.ts";

/** A product to export. */
export interface ExportedProduct extends StoredProduct {
	/** ID of its parent, or its own. */
	readonly family: string;
	readonly parent_sku: string | null;
	/** Stock on hand. */
	readonly stock: number;
}

/** Columns of a CSV file with these names of options and attributes. */
export const columnsOf = (options: readonly string[], attributes: readonly string[]): string[] => [
	...COLUMNS,
	...options.toSorted(byCodeUnits).map((name) => OPTION + name),
	...attributes.toSorted(byCodeUnits).map((name) => ATTRIBUTE + name),
];
/** An order that no locale changes. */
const byCodeUnits = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);

/** The cells of a product. Fields that a variant inherits are blank. */
export function toCells(product: ExportedProduct, columns: readonly string[]): string[] {
	const { parent_id, own_fields, options, attributes } = product;
	const defines = (field: keyof Product) => !parent_id || own_fields.includes(field);
	return columns.map((column) => {
		if (column.startsWith(OPTION)) {
			const name = column.slice(OPTION.length);
			return options && Object.hasOwn(options, name) ? options[name]! : "";
		}
		if (column.startsWith(ATTRIBUTE)) {
			const name = column.slice(ATTRIBUTE.length);
			const value =
				defines("attributes") && Object.hasOwn(attributes, name) ? attributes[name] : undefined;
			return value === undefined ? "" : formatAttribute(value);
		}
		const field = column as (typeof COLUMNS)[number];
		if (field === "sku") return fileSku(product);
		if (field === "stock") return String(product.stock);
		if (field === "parent_sku") return product.parent_sku ?? "";
		if (field === "option_names") return joinList(product.option_names ?? []);
		if (!defines(field)) return "";
		if (field === "price") return formatPrice(product);
		if (field === "images") return joinList(product.images.map(({ url }) => url));
		return product[field] ?? "";
	});
}

/** The price with all decimals of its currency. */
function formatPrice({ price, currency }: Product): string {
	const text = price.toFixed(digitsOf(currency));
	return Number(text) === price ? text : String(price);
}

/** A product as a line of NDJSON, without what a variant inherits. */
export function toObject(product: ExportedProduct): object {
	const { parent_id, own_fields, parent_sku, option_names, options, stock } = product;
	const defined = (field: keyof Product) =>
		!parent_id || own_fields.includes(field) ? { [field]: product[field] } : {};
	return {
		sku: fileSku(product),
		...(parent_sku === null ? {} : { parent_sku }),
		...defined("name"),
		...defined("description"),
		...defined("price"),
		...defined("currency"),
		...defined("category"),
		stock,
		...(option_names ? { option_names } : {}),
		...(options ? { options } : {}),
		...defined("attributes"),
		...defined("images"),
	};
}
