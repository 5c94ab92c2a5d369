import { countryCode, currencyCode } from "../../lib/contracts/codes.ts";
import { list, object, partial, shape } from "../../lib/contracts/schema.ts";

const code = {
	type: "string",
	min: 1,
	max: 40,
	pattern: "^[a-z0-9_-]+$",
	example: "standard",
} as const;
const name = { type: "string", min: 1, max: 100, trim: true } as const;
const currency = { ...currencyCode, description: "ISO 4217 code of the method's amounts" } as const;
const price = { type: "money", min: 0 } as const;
const tier = object({
	up_to_subtotal: { ...price, optional: true, description: "Inclusive" },
	up_to_weight: {
		type: "number",
		min: 0,
		max: 1_000_000_000,
		optional: true,
		description: "Grams, inclusive. The weight of a product is its attribute `weight` in grams",
	},
	price,
});

export const shippingMethod = shape({
	code,
	name,
	countries: {
		...list({ type: "string", pattern: "^([A-Z]{2}|\\*)$", example: "DE" }, { min: 1, max: 300 }),
		description: 'ISO 3166-1 alpha-2 codes, or only "*" for every country',
	},
	currency,
	price: { ...price, description: "Price if no tier applies" },
	free_from: {
		...price,
		nullable: true,
		description: "Free from this subtotal, before discounts",
	},
	tiers: {
		...list(tier, { max: 50 }),
		description: "The first tier whose limits the cart does not exceed sets the price",
	},
	position: { type: "number", integer: true, min: 0, max: 1_000_000 },
});
const quoted = shape({ code, name, price });
/** Milliseconds after which a quote fails, also that of another implementation. */
const TIMEOUT_MS = 2000;

/** Actions for shipping methods. An adopter can replace them together with the service. */
export const methodActions = {
	methods: {
		summary: "List the shipping methods, by position",
		rest: "GET /shipping/methods",
		auth: "anyone",
		params: {},
		returns: list(object(shippingMethod)),
		responseCache: { ttl: 60_000 },
		retry: true,
	},
	createMethod: {
		summary: "Create a shipping method",
		rest: "POST /shipping/methods",
		repeatable: "a code can be used once",
		auth: "admin",
		status: 201,
		params: {
			...shippingMethod,
			countries: {
				...shippingMethod.countries,
				optional: true,
				description: 'ISO 3166-1 alpha-2 codes, or "*" for every country; `["*"]` by default',
			},
			currency: { ...currency, default: "EUR" },
			free_from: { ...shippingMethod.free_from, optional: true },
			tiers: { ...shippingMethod.tiers, optional: true },
			position: { ...shippingMethod.position, default: 0 },
		},
		returns: object(shippingMethod),
		throws: ["METHOD_EXISTS", "TOO_MANY_METHODS"],
	},
	updateMethod: {
		summary: "Change a shipping method; orders keep their method and price",
		rest: "PATCH /shipping/methods/:code",
		auth: "admin",
		params: { ...partial(shippingMethod), code },
		returns: object(shippingMethod),
		throws: ["METHOD_NOT_FOUND"],
	},
	removeMethod: {
		summary: "Delete a shipping method",
		rest: "DELETE /shipping/methods/:code",
		auth: "admin",
		status: 204,
		params: { code },
		returns: { type: "any" },
		throws: ["METHOD_NOT_FOUND"],
	},
	/**
	 * Whether methods are configured. While `enabled` is false, every order has free standard
	 * shipping and callers do not call `quote`. Callers cache the result until the version of this
	 * service's rows changes (`cache.version("shipping")`), a minute at most.
	 */
	status: {
		params: {},
		timeout: TIMEOUT_MS,
		returns: object({ enabled: { type: "boolean" } }),
		retry: true,
	},
	/**
	 * Methods that deliver each cart, by position, with their prices; an empty list if none does. A
	 * method delivers carts in its own currency only. Its price is 0 from `free_from`, otherwise that
	 * of the first tier whose limits the cart does not exceed, otherwise `price`. `country` is null
	 * if the buyer has not given an address: then the country of the shop applies.
	 */
	quote: {
		timeout: TIMEOUT_MS,
		params: {
			carts: list(
				object({
					currency,
					country: { ...countryCode, nullable: true },
					subtotal: { ...price, description: "Before discounts" },
					weight: { type: "number", min: 0, description: "Grams" },
				}),
				{ max: 1000 },
			),
		},
		returns: list(list(object(quoted))),
		retry: true,
		divide: { list: "carts" },
	},
} as const;
