import { contract } from "../../lib/contracts/contract.ts";
import { eventActions } from "../../lib/contracts/event-actions.ts";
import { list, object, paging } from "../../lib/contracts/schema.ts";
import { fileActions } from "./products.contract.files.ts";
import {
	category,
	category_path,
	changes,
	facets,
	filters,
	id,
	newProduct,
	newVariant,
	product,
	productPage,
	productWithVariants,
	sku_text,
} from "./products.contract.shapes.ts";

export const products = contract({
	name: "products",
	actions: {
		...eventActions,
		...fileActions,
		create: {
			summary: "Create a product; `stock` is the quantity on hand",
			rest: "POST /products",
			auth: "admin",
			status: 201,
			idempotent: true,
			params: newProduct,
			returns: object(product),
			throws: ["SKU_TAKEN", "IDEMPOTENCY_KEY_IN_USE", "IDEMPOTENCY_KEY_REUSED"],
		},
		createVariant: {
			summary: "Create a variant of a product, which inherits the fields that are not given",
			rest: "POST /products/:id/variants",
			auth: "admin",
			status: 201,
			idempotent: true,
			params: { ...id, ...newVariant },
			returns: object(product),
			throws: [
				"PRODUCT_NOT_FOUND",
				"SKU_TAKEN",
				"VARIANT_EXISTS",
				"TOO_MANY_VARIANTS",
				"IDEMPOTENCY_KEY_IN_USE",
				"IDEMPOTENCY_KEY_REUSED",
			],
		},
		list: {
			summary: "List and search products, without the variants of a product",
			rest: "GET /products",
			auth: "anyone",
			page: true,
			cache: { ttl: 10_000 },
			responseCache: { ttl: 10_000 },
			params: {
				...paging,
				after: {
					...id.id,
					optional: true,
					description:
						"ID of the last product of the previous page. Unlike `skip`, as fast on every page",
				},
				...filters,
				sort: {
					type: "enum",
					values: ["relevance", "name", "-name", "price", "-price", "created_at", "-created_at"],
					optional: true,
					description:
						"By default `relevance` with `q`, otherwise `created_at`. " +
						"More than 1,000 matches are not sorted by relevance but by `created_at`",
				},
			},
			returns: productPage,
		},
		get: {
			summary: "Retrieve a product with its variants",
			rest: "GET /products/:id",
			auth: "anyone",
			etag: true,
			responseCache: { ttl: 60_000 },
			params: id,
			returns: object(productWithVariants),
			throws: ["PRODUCT_NOT_FOUND"],
			retry: true,
		},
		update: {
			summary:
				"Update a product. " +
				"Variants follow the changes of their parent in fields that they do not define",
			rest: "PATCH /products/:id",
			also: ["PUT"],
			auth: "admin",
			etag: true,
			params: { ...id, ...changes },
			returns: object(productWithVariants),
			throws: [
				"PRODUCT_NOT_FOUND",
				"SKU_TAKEN",
				"VARIANT_EXISTS",
				"HAS_VARIANTS",
				"PRECONDITION_FAILED",
			],
		},
		remove: {
			summary: "Remove a product and its variants from the catalogue; past orders keep them",
			rest: "DELETE /products/:id",
			auth: "admin",
			status: 204,
			etag: true,
			params: id,
			returns: { type: "any" },
			throws: ["PRODUCT_NOT_FOUND", "PRECONDITION_FAILED"],
		},
		facets: {
			summary:
				"Count the values of each filter. A filter narrows all counts but its own; " +
				"counts of many products are estimates",
			rest: "GET /products/facets",
			auth: "anyone",
			cache: { ttl: 60_000 },
			responseCache: { ttl: 10_000 },
			bulkhead: { concurrency: 4, queue: 100 },
			params: filters,
			returns: object(facets),
			retry: true,
		},
		categories: {
			summary: "Retrieve the tree of categories",
			rest: "GET /categories",
			auth: "anyone",
			cache: { ttl: 60_000 },
			responseCache: { ttl: 60_000 },
			bulkhead: { concurrency: 2, queue: 100 },
			params: {},
			returns: list(object(category)),
			retry: true,
		},
		renameCategory: {
			summary: "Rename or move a category with its subcategories",
			rest: "POST /categories/rename",
			auth: "admin",
			idempotent: true,
			timeout: 600_000,
			params: {
				from: category_path,
				to: category_path,
				merge: {
					type: "boolean",
					default: false,
					description: "Allows the new category to have other products",
				},
			},
			returns: object({
				changed: { type: "number", integer: true, description: "Number of changed products" },
			}),
			throws: ["CATEGORY_EXISTS", "IDEMPOTENCY_KEY_IN_USE", "IDEMPOTENCY_KEY_REUSED"],
		},
		/**
		 * Products in the order of `ids`, with null for an ID that is not in the catalogue. With
		 * `include_removed`, also the products that were removed from it, as they were last.
		 */
		resolve: {
			params: {
				ids: list({ type: "uuid" }, { max: 10_000 }),
				include_removed: { type: "boolean", optional: true },
			},
			returns: list({ type: "object", props: product, nullable: true }),
			retry: true,
			divide: { list: "ids" },
		},
		/** Variants of a product, in the order of their creation; empty if it has none. */
		variants: {
			params: id,
			returns: list(object(product)),
			retry: true,
		},
		/** Adds products whose SKU was never used, with their variants, and returns their number. */
		import: {
			params: {
				products: list(
					object({
						...newProduct,
						sku: sku_text,
						variants: { ...list(object(newVariant), { max: 100 }), optional: true },
					}),
					{ min: 1, max: 1000 },
				),
			},
			returns: object({ imported: { type: "number", integer: true } }),
		},
	},
	events: {
		"product.created": {
			product_id: { type: "uuid" },
			parent_id: { type: "uuid", optional: true, description: "Of a variant" },
		},
		"product.updated": { product_id: { type: "uuid" }, updated_fields: list({ type: "string" }) },
		"product.removed": { product_id: { type: "uuid" } },
	},
	errors: {
		PRODUCT_NOT_FOUND: { status: 404, message: "Product not found" },
		CATEGORY_EXISTS: {
			status: 409,
			message: "The new category has other products: `merge` adds these products to them",
		},
		HAS_VARIANTS: {
			status: 409,
			message: "Option names cannot change while the product has variants",
		},
		TOO_MANY_VARIANTS: { status: 409, message: "A product can have at most 100 variants" },
		VARIANT_EXISTS: { status: 409, message: "Another variant has these options" },
		SKU_TAKEN: { status: 409, message: "Another product has this SKU" },
	},
});

declare module "../../lib/contracts/contract.ts" {
	interface Contracts {
		products: typeof products;
	}
}
