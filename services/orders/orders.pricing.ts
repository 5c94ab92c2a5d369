import type { ServiceBroker } from "moleculer";
import type { Address } from "../../lib/addresses/address.ts";
import { type Rejection, reject } from "../../lib/async/micro-batch.ts";
import { cachedStatus } from "../../lib/caching/cached-lookups.ts";
import { type Call, contractError } from "../../lib/contracts/contract.ts";
import { MONEY_MAX } from "../../lib/money/currency.ts";
import type { Database } from "../../lib/persistence/database.ts";
import { inMajorUnits } from "../../lib/pricing/major-units.ts";
import { type CartToPrice, type PricingResult, priceCarts } from "../../lib/pricing/price-carts.ts";
import type { Rounding } from "../../lib/pricing/pricing.ts";
import { isUsableIfOutdated, type PricingSources, weightOf } from "../../lib/pricing/sources.ts";
import { isOutage } from "../../lib/resilience/outages.ts";
import type {} from "../promotions/promotions.contract.ts";
import type {} from "../shipping/shipping.contract.ts";
import type {} from "../tax/tax.contract.ts";
import { orders } from "./orders.contract.ts";
import type { StoredLine } from "./orders.prices.rules.ts";
import { haveOrdered } from "./orders.queries.ts";
import type { PricedOrder, Product } from "./orders.rules.ts";

/** During an outage of tax or shipping. */
const DEFAULTS = { ifUnknown: { enabled: false }, isUsable: isUsableIfOutdated };

/** An order at catalogue prices, to price with tax, shipping and promotions. */
export interface OrderToPrice {
	readonly request: {
		readonly user_id: string;
		readonly shipping_address?: string | Address;
		readonly shipping_method?: string;
	};
	readonly order: { readonly currency: string; readonly items: readonly StoredLine[] };
	/** Contains the product of each item. */
	readonly products: ReadonlyMap<string, Product | null>;
}
export type OrderPricing = ReturnType<typeof createOrderPricing>;

interface Dependencies {
	readonly broker: ServiceBroker;
	readonly call: Call;
	readonly db: Database;
	readonly rounding: Rounding;
	/** Whether tax and shipping costs require the country of the address. */
	readonly requireAddress: boolean;
}
/** Prices orders that have no cart. */
export function createOrderPricing({ broker, call, db, rounding, requireAddress }: Dependencies) {
	const sources: PricingSources = {
		rounding,
		automatic: cachedStatus(broker, "promotions", () => call("promotions.automatic"), {
			ifUnknown: [],
			ifUnavailable: [],
		}),
		resolve: (codes) => call("promotions.resolve", { codes }),
		usage: (uses) => call("promotions.usage", { uses }),
		haveOrdered: (customers) => haveOrdered(db, customers),
		taxStatus: cachedStatus(broker, "tax", () => call("tax.status"), DEFAULTS),
		calculateTax: (carts) => call("tax.calculate", { carts }),
		shippingStatus: cachedStatus(broker, "shipping", () => call("shipping.status"), DEFAULTS),
		quoteShipping: (carts) => call("shipping.quote", { carts }),
	};

	/** Whether tax or shipping methods are configured. */
	async function dependsOnCountry(): Promise<boolean> {
		const [tax, shipping] = await Promise.all([sources.taxStatus(), sources.shippingStatus()]);
		return tax.enabled || shipping.enabled;
	}

	return {
		/** Whether tax, shipping methods or automatic promotions are configured. */
		async isConfigured(): Promise<boolean> {
			const [isDependent, automatic] = await Promise.all([dependsOnCountry(), sources.automatic()]);
			return isDependent || automatic.length > 0;
		},

		/**
		 * Prices a batch of orders. One that cannot be delivered does not affect the others, and an
		 * outage of a source rejects the batch.
		 * @throws other errors of the sources, for a batch of which one order may be the cause
		 */
		async price(batch: readonly OrderToPrice[]): Promise<(PricedOrder | Rejection)[]> {
			try {
				const isRequired = requireAddress && (await dependsOnCountry());
				const results = await priceCarts(sources, batch.map(toCart));
				return results.map((result, i) => {
					const { shipping_address } = batch[i]!.request;
					return isRequired && typeof shipping_address !== "object"
						? reject(contractError(orders, "ADDRESS_REQUIRED"))
						: toPricedOrder(batch[i]!, result);
				});
			} catch (error) {
				if (!isOutage(error)) throw error;
				return batch.map(() => reject(error));
			}
		},
	};
}

function toCart({ request, order, products }: OrderToPrice): CartToPrice {
	const { shipping_address: address, shipping_method } = request;
	const { country = null, region } = typeof address === "object" ? address : {};
	return {
		currency: order.currency,
		lines: order.items.map(({ product_id, quantity, unit_price }) => {
			const { category = null, parent_id = null, attributes } = products.get(product_id)!;
			const weight = weightOf(attributes);
			return { product_id, quantity, unit_price, category, parent_id, weight };
		}),
		user_id: request.user_id,
		email: null,
		coupon_codes: [],
		country,
		region: region || null,
		shipping_method: shipping_method ?? null,
	};
}

/** The priced order, or METHOD_UNAVAILABLE, UNDELIVERABLE or ORDER_TOO_LARGE. */
function toPricedOrder(
	{ request, order }: OrderToPrice,
	{ priced, problems }: PricingResult,
): PricedOrder | Rejection {
	for (const { code } of problems)
		if (code === "METHOD_UNAVAILABLE" || code === "UNDELIVERABLE")
			return reject(contractError(orders, code));
	const prices = inMajorUnits(priced, (_, i) => ({ name: order.items[i]!.name }));
	if (prices.total_amount > MONEY_MAX) return reject(contractError(orders, "ORDER_TOO_LARGE"));
	const { shipping_address: address } = request;
	return {
		...prices,
		email: null,
		shipping_address: typeof address === "object" ? address : null,
		billing_address: null,
		coupon_codes: [],
	};
}
