import { currencyCode } from "../../lib/contracts/codes.ts";
import { list, object, page, partial, shape } from "../../lib/contracts/schema.ts";

export const id = { id: { type: "uuid" } } as const;
const name = { type: "string", min: 1, max: 255, trim: true } as const;
const description = { type: "string", max: 5000, nullable: true } as const;
const price = { type: "money" } as const;
const currency = currencyCode;
/** Parts of a category are separated by slashes. */
export const category_path = {
	type: "string",
	min: 1,
	max: 100,
	trim: true,
	example: "Kitchen/Knives",
} as const;
export const sku_text = {
	type: "string",
	min: 1,
	max: 64,
	pattern: "^[A-Za-z0-9._-]+$",
	example: "MUG-1",
} as const;
const sku = { ...sku_text, nullable: true } as const;

/** Name of an attribute or option: letters, digits, and between them spaces, `_` and `-`. */
const attribute_name = {
	type: "string",
	min: 1,
	max: 40,
	pattern:
		"^[0-9A-Za-z\\u00aa-\\uffff](?:[0-9A-Za-z\\u00aa-\\uffff _-]*[0-9A-Za-z\\u00aa-\\uffff])?$",
	example: "color",
} as const;
const attribute_text = { type: "string", min: 1, max: 200, trim: true } as const;
const attributes = {
	type: "record",
	key: attribute_name,
	value: {
		type: "multi",
		rules: [
			attribute_text,
			{ type: "number" },
			{ type: "boolean" },
			list(attribute_text, { min: 1, max: 50 }),
		],
	},
	max: 50,
} as const;
const option_names = {
	...list(attribute_name, { min: 1, max: 5 }),
	nullable: true,
	description: "Names of the options in which the variants of the product differ",
} as const;
/** The unique index on options limits their size: 5 names and values of 100 code points. */
const options = {
	type: "record",
	key: attribute_name,
	value: { type: "string", min: 1, max: 60, trim: true },
	min: 1,
	max: 5,
	description: "A value for each option name of the parent",
} as const;
const images = list(
	object({
		url: {
			type: "string",
			min: 1,
			max: 2000,
			pattern: "^(?:https?:/)?/[^\\s\"'<>\\\\^`{|}]*$",
			example: "https://example.com/mug.jpg",
			description: "Absolute URL, or path on this server",
		},
		alt: { type: "string", max: 500, trim: true, default: "" },
	}),
	{ max: 20 },
);

export const product = shape({
	...id,
	name,
	description,
	price,
	currency,
	category: category_path,
	sku,
	parent_id: { type: "uuid", nullable: true, description: "Parent of a variant" },
	options: { ...options, nullable: true },
	option_names,
	variant_count: { type: "number", integer: true, description: "Number of its variants" },
	attributes,
	images,
	created_at: { type: "time" },
	updated_at: { type: "time" },
});

const stock = { type: "number", integer: true, min: 0, max: 1_000_000_000, default: 0 } as const;

/** A stand-alone product or a parent to create. */
export const newProduct = shape({
	name,
	price,
	category: category_path,
	description: { ...description, optional: true },
	sku: { ...sku, optional: true },
	currency: { ...currency, default: "EUR" },
	option_names: { ...option_names, optional: true },
	attributes: { ...attributes, optional: true },
	images: { ...images, optional: true },
	stock,
});

/** Filters of products. */
export const filters = shape({
	category: {
		...category_path,
		optional: true,
		description: "Case-insensitive; includes subcategories",
	},
	q: {
		type: "string",
		min: 1,
		max: 200,
		trim: true,
		optional: true,
		description:
			"Words to find in name, SKU, category, attributes and description. Prefixes of words match",
	},
	min_price: { type: "money", convert: true, optional: true },
	max_price: { type: "money", convert: true, optional: true },
	in_stock: {
		type: "boolean",
		convert: true,
		optional: true,
		description: "Products that are available, or are not, by the events of the inventory",
	},
	attr: {
		type: "record",
		key: attribute_name,
		value: list({ type: "string", min: 1, max: 200 }, { min: 1, max: 50 }),
		max: 10,
		optional: true,
		description:
			"Values of attributes, or of options of variants. " +
			"A product has one of the values of each attribute",
	},
});
/** A page of products. */
export const productPage = object({
	...page(product).props,
	corrected: {
		type: "string",
		optional: true,
		description: "The words that were found instead of those of `q`, which no product contains",
	},
});
const count = { type: "number", integer: true } as const;
/** Values of each facet with the number of products, most frequent first. */
export const facets = shape({
	total: count,
	price: object({
		min: { type: "money", nullable: true },
		max: { type: "money", nullable: true },
	}),
	categories: list(object({ path: { type: "string" }, count })),
	attributes: {
		type: "record",
		key: attribute_name,
		value: list(object({ value: { type: "string" }, count })),
		max: 50,
	},
});

/** A category in the tree of all categories. */
export const category = shape({
	name: { type: "string" },
	path: { type: "string", example: "Kitchen/Knives" },
	count: { type: "number", integer: true, description: "Products in it and in its subcategories" },
	children: list({ type: "any" }, { description: "Subcategories, of the same form" }),
});

/** Fields that a variant inherits from its parent unless it defines them itself. */
export const inherited = shape({
	name,
	description,
	price,
	currency,
	category: category_path,
	attributes,
	images,
});
export const newVariant = shape({
	options,
	sku: { ...sku, optional: true },
	stock,
	...partial(inherited),
});
/** Fields of a product that can change; `options` and `inherit` only those of a variant. */
export const changes = shape({
	...partial({ ...inherited, sku, option_names, options }),
	inherit: {
		...list({ type: "enum", values: Object.keys(inherited) as (keyof typeof inherited)[] }),
		optional: true,
		description:
			"Fields that a variant inherits again. `price` and `currency` are inherited together",
	},
});
/** A product with its variants. */
export const productWithVariants = shape({ ...product, variants: list(object(product)) });
