import { partial, shape } from "../../lib/contracts/schema.ts";
import {
	downloadPart,
	downloadRequest,
	uploadBatch,
	uploadResult,
} from "../../lib/contracts/transfers.ts";
import { newProduct, product, sku_text } from "./products.contract.shapes.ts";

const nullable = { nullable: true, optional: true } as const;

/**
 * Fields of a row in an import file, after cells have been converted. A field that the file does
 * not have is missing, a blank one is null.
 */
export const fileRow = shape({
	sku: sku_text,
	parent_sku: { ...sku_text, ...nullable },
	name: { ...newProduct.name, ...nullable },
	description: { ...newProduct.description, ...nullable },
	price: { ...newProduct.price, ...nullable },
	currency: { type: "string", pattern: newProduct.currency.pattern, example: "EUR", ...nullable },
	category: { ...newProduct.category, ...nullable },
	stock: { type: "number", integer: true, min: 0, max: newProduct.stock.max, ...nullable },
	...partial({
		option_names: newProduct.option_names,
		options: product.options,
	}),
	attributes: { ...newProduct.attributes, ...nullable },
	images: { ...newProduct.images, ...nullable },
});

/** Import and export of the catalogue. */
export const fileActions = {
	importRows: {
		summary:
			"Import products from a CSV or NDJSON file: " +
			"rows are created or updated by SKU, variants refer to `parent_sku`",
		rest: "POST /products/import",
		auth: "admin",
		upload: { key: "sku" },
		repeatable: "a row that was applied before is unchanged",
		params: uploadBatch,
		returns: uploadResult,
		bulkhead: { concurrency: 2, queue: 8 },
	},
	exportRows: {
		summary: "Export all products to a CSV or NDJSON file that can be imported",
		rest: "GET /products/export",
		auth: "admin",
		download: { name: "products" },
		params: downloadRequest,
		returns: downloadPart,
		timeout: 60_000,
		bulkhead: { concurrency: 4, queue: 16 },
	},
} as const;
