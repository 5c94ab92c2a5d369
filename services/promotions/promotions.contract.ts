import { currencyCode } from "../../lib/contracts/codes.ts";
import { contract } from "../../lib/contracts/contract.ts";
import { eventActions } from "../../lib/contracts/event-actions.ts";
import { command } from "../../lib/contracts/outcome.ts";
import { list, object, page, paging, partial, range, shape } from "../../lib/contracts/schema.ts";
import { history } from "../../lib/messaging/event-history.ts";
import { MAX_ADJUSTMENTS } from "../../lib/pricing/limits.ts";

const id = { id: { type: "uuid" } } as const;
const count = { type: "number", integer: true, min: 0 } as const;
const limit = {
	type: "number",
	integer: true,
	min: 1,
	max: 1_000_000_000,
	nullable: true,
} as const;
const name = { type: "string", min: 1, max: 200, trim: true } as const;
const code = {
	type: "string",
	min: 1,
	max: 40,
	pattern: "^[A-Za-z0-9_-]+$",
	example: "SUMMER10",
	description: "Entered by the buyer, case-insensitive. A promotion without a code is automatic",
	nullable: true,
} as const;
const time = { type: "time", nullable: true } as const;
const conditions = shape({
	min_subtotal: {
		type: "money",
		optional: true,
		description: "Minimum subtotal of all lines, before discounts",
	},
	product_ids: {
		...list({ type: "uuid" }, { min: 1, max: 100 }),
		optional: true,
		description:
			"The promotion discounts only these products, with the variants of parents, and the " +
			"categories' products",
	},
	categories: {
		...list({ type: "string", min: 1, max: 100, trim: true }, { min: 1, max: 100 }),
		optional: true,
		description: "Category branches: Kitchen includes Kitchen/Knives",
	},
	first_order: {
		type: "boolean",
		optional: true,
		description: "Only for the first order of a customer",
	},
	user_ids: {
		...list({ type: "uuid" }, { min: 1, max: 1000 }),
		optional: true,
		description: "Only for these accounts",
	},
});
const pieces = { type: "number", integer: true, min: 1, max: 1000, optional: true } as const;
const effect = shape({
	type: { type: "enum", values: ["percent_off", "amount_off", "free_shipping", "buy_x_get_y"] },
	value: {
		type: "number",
		min: 0,
		max: 9_999_999_999.99,
		optional: true,
		description: "Percent for percent_off, amount for amount_off",
	},
	buy: { ...pieces, description: "Of each `buy` + `get` pieces, the `get` cheapest are free" },
	get: pieces,
});
const currency = {
	...currencyCode,
	description: "ISO 4217 code of the promotion's amounts",
} as const;

/** Fields that an administrator sets. */
export const fields = shape({
	name,
	code,
	starts_at: time,
	ends_at: time,
	priority: { type: "number", integer: true, min: -1000, max: 1000 },
	combinable: { type: "boolean" },
	currency,
	conditions: object(conditions),
	effect: object(effect),
	usage_limit: limit,
	usage_limit_per_customer: limit,
	budget: { type: "money", nullable: true, description: "Maximum sum of all discounts" },
});
const is_exhausted = {
	type: "boolean",
	description:
		"True when the uses or the budget are used up, or when a discount exceeded the remaining " +
		"budget. False again when an order returns its use or the promotion changes",
} as const;
export const promotion = shape({
	...id,
	...fields,
	used: { ...count, description: "Number of orders that use the promotion" },
	spent: { type: "money", description: "Sum of the discounts of these orders" },
	is_exhausted,
	created_at: { type: "time" },
	updated_at: { type: "time" },
});
/**
 * A promotion for pricing: without counters, which change with every order. Pricing must not apply
 * a discount above `budget`, which `redeem` always refuses.
 */
export const applicable = shape({
	...id,
	...fields,
	is_exhausted,
});
const optional = { optional: true } as const;

/** A customer: the ID of the account, or the normalized e-mail address of a guest. */
const customer = { type: "string", min: 1, max: 320 } as const;
/** The discount of a promotion on an order. */
const use = shape({
	promotion_id: { type: "uuid" },
	amount: { type: "money", min: 0 },
});

export const promotions = contract({
	name: "promotions",
	actions: {
		...eventActions,
		list: {
			summary: "List promotions, newest first",
			rest: "GET /promotions",
			auth: "admin",
			page: true,
			params: paging,
			returns: page(promotion),
		},
		get: {
			summary: "Retrieve a promotion with its uses",
			rest: "GET /promotions/:id",
			auth: "admin",
			params: id,
			returns: object(promotion),
			throws: ["PROMOTION_NOT_FOUND"],
			retry: true,
		},
		create: {
			summary: "Create a promotion",
			rest: "POST /promotions",
			auth: "admin",
			status: 201,
			idempotent: true,
			params: {
				name: fields.name,
				effect: fields.effect,
				code: { ...fields.code, ...optional },
				starts_at: { ...time, ...optional },
				ends_at: { ...time, ...optional },
				priority: { ...fields.priority, default: 0 },
				combinable: { ...fields.combinable, default: true },
				currency: { ...currency, default: "EUR" },
				conditions: { ...fields.conditions, ...optional },
				usage_limit: { ...limit, ...optional },
				usage_limit_per_customer: { ...limit, ...optional },
				budget: { ...fields.budget, ...optional },
			},
			returns: object(promotion),
			throws: [
				"CODE_TAKEN",
				"TOO_MANY_AUTOMATIC",
				"IDEMPOTENCY_KEY_IN_USE",
				"IDEMPOTENCY_KEY_REUSED",
			],
		},
		update: {
			summary: "Change a promotion; orders that already use it keep their discount",
			rest: "PATCH /promotions/:id",
			auth: "admin",
			params: { ...id, ...partial(fields) },
			returns: object(promotion),
			throws: ["PROMOTION_NOT_FOUND", "CODE_TAKEN", "TOO_MANY_AUTOMATIC"],
		},
		remove: {
			summary: "Delete a promotion; orders that already use it keep their discount",
			rest: "DELETE /promotions/:id",
			auth: "admin",
			status: 204,
			params: id,
			returns: { type: "any" },
			throws: ["PROMOTION_NOT_FOUND"],
		},
		/**
		 * All automatic promotions that have not ended, also those that have not started, by descending
		 * priority. The result is current while the version of the service's rows is.
		 */
		automatic: { params: {}, returns: list(object(applicable)), retry: true },
		/**
		 * Promotions by code, case-insensitive, in the order of `codes`, with null for an unknown code
		 * and for a promotion that has ended. Current like `automatic`.
		 */
		resolve: {
			params: { codes: list({ type: "string", min: 1, max: 40 }, { max: 20 }) },
			returns: list({ type: "object", props: applicable, nullable: true }),
			retry: true,
			divide: { list: "codes" },
		},
		/**
		 * Number of orders with which each customer uses each promotion, in the order of `uses`. A
		 * promotion for first orders allows one.
		 */
		usage: {
			params: {
				uses: list(object({ customer, promotion_id: { type: "uuid" } }), { max: 1000 }),
			},
			returns: list(count),
			retry: true,
			divide: { list: "uses" },
		},
		/**
		 * Takes uses and budget for all promotions of an order, or for none, in the order of the list.
		 * The amounts are taken as priced: a promotion that has changed or ended since then is redeemed
		 * if its limits allow. Refuses an order with USED_UP (`data` contains `promotion_id` and
		 * `code`), also for a deleted promotion, or with RELEASED if it was released, even before it
		 * was redeemed.
		 */
		redeem: command("Redeem promotions for orders", {
			customer,
			uses: list(object(use), { min: 1, max: MAX_ADJUSTMENTS }),
		}),
		/** Returns uses and budget once. An order without redemptions gets a tombstone. */
		release: command("Return the redeemed promotions of orders", {}),
		/** For the audit: redemptions and tombstones in a range of order IDs. */
		auditRedemptions: {
			params: range,
			returns: list(
				object({
					order_id: { type: "uuid" },
					status: { type: "enum", values: ["redeemed", "released"] },
					uses: list(object(use)),
				}),
			),
			retry: true,
			divide: { range: "order_id" },
		},
		history,
	},
	events: {
		"promotion.redeemed": { order_id: { type: "uuid" }, uses: list(object(use)) },
		"promotion.released": { order_id: { type: "uuid" } },
	},
	errors: {
		PROMOTION_NOT_FOUND: { status: 404, message: "Promotion not found" },
		CODE_TAKEN: { status: 409, message: "Another promotion has this code" },
		TOO_MANY_AUTOMATIC: {
			status: 409,
			message:
				"The shop has too many automatic promotions, " +
				"or too long lists in their conditions: delete some or set their end",
		},
	},
});

declare module "../../lib/contracts/contract.ts" {
	interface Contracts {
		promotions: typeof promotions;
	}
}
