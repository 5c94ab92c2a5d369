import { countryCode, currencyCode } from "../../lib/contracts/codes.ts";
import { contract } from "../../lib/contracts/contract.ts";
import { list, object, shape } from "../../lib/contracts/schema.ts";

const rate = shape({
	name: { type: "string", min: 1, max: 100, trim: true, example: "VAT" },
	rate: {
		type: "number",
		min: 0,
		max: 1,
		description: "Fraction with at most 6 decimals: 0.19 is 19 %",
		example: 0.19,
	},
});
const region = { type: "string", min: 1, max: 100, trim: true } as const;
const category = { type: "string", min: 1, max: 100, trim: true } as const;

/** A row of the table. */
const tableRate = shape({
	country: countryCode,
	region: {
		...region,
		nullable: true,
		optional: true,
		description: "Null for the whole country. Addresses must spell it the same, in any case",
		example: null,
	},
	category: {
		...category,
		nullable: true,
		optional: true,
		description: "Category branch, in any case; null for all products and for shipping",
		example: "Books",
	},
	...rate,
});

/** Milliseconds after which a calculation fails, also that of another implementation. */
const TIMEOUT_MS = 2000;

/**
 * Tax rates. An adopter can run another service with this name and the actions `status` and
 * `calculate` instead (docs/extending.md).
 */
export const tax = contract({
	name: "tax",
	actions: {
		rates: {
			summary: "List the tax rates",
			rest: "GET /tax/rates",
			auth: "admin",
			params: {},
			returns: list(object(tableRate)),
			etag: true,
			retry: true,
		},
		setRates: {
			summary: "Replace all tax rates; with an empty list, orders are not taxed",
			rest: "PUT /tax/rates",
			auth: "admin",
			bodyList: "rates",
			etag: true,
			params: { rates: list(object(tableRate), { max: 2000 }) },
			returns: list(object(tableRate)),
			throws: ["DUPLICATE_RATE"],
		},
		/**
		 * Whether any order is taxed, and whether prices include tax. While `enabled` is false, callers
		 * do not call `calculate`. Callers cache the result until the version of this service's rows
		 * changes (`cache.version("tax")`), a minute at most.
		 */
		status: {
			params: {},
			timeout: TIMEOUT_MS,
			returns: object({ enabled: { type: "boolean" }, prices_include_tax: { type: "boolean" } }),
			retry: true,
		},
		/**
		 * Rate of each line and of shipping, per cart, in the order of `carts`; null for none. A rate
		 * of the region precedes every rate of the whole country; then the rate of the longest matching
		 * category branch precedes that of all products. Shipping has the rate without category.
		 * `country` is null if the buyer has not given an address: then the country of the shop
		 * applies.
		 */
		calculate: {
			timeout: TIMEOUT_MS,
			params: {
				carts: list(
					object({
						currency: currencyCode,
						country: { ...countryCode, nullable: true },
						region: { ...region, nullable: true },
						lines: list(
							object({
								product_id: { type: "uuid" },
								category: { ...category, nullable: true },
								amount: { type: "money" },
							}),
							{ max: 100 },
						),
						shipping: { type: "money" },
					}),
					{ max: 1000 },
				),
			},
			returns: list(
				object({
					prices_include_tax: { type: "boolean" },
					lines: list({ type: "object", props: rate, nullable: true }),
					shipping: { type: "object", props: rate, nullable: true },
				}),
			),
			retry: true,
			divide: { list: "carts" },
		},
	},
	errors: {
		DUPLICATE_RATE: {
			status: 409,
			message: "Two rates have the same country, region and category",
		},
	},
});

declare module "../../lib/contracts/contract.ts" {
	interface Contracts {
		tax: typeof tax;
	}
}
