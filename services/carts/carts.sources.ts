import type { ServiceBroker } from "moleculer";
import { cachedLookup, cachedStatus } from "../../lib/caching/cached-lookups.ts";
import type { Call } from "../../lib/contracts/contract.ts";
import type { Rounding } from "../../lib/pricing/pricing.ts";
import {
	isUsableIfOutdated,
	type PricingSources,
	type PromotionRecord,
} from "../../lib/pricing/sources.ts";
import { isUnavailable } from "../../lib/resilience/outages.ts";
import type {} from "../orders/orders.contract.ts";
import type {} from "../promotions/promotions.contract.ts";
import type {} from "../shipping/shipping.contract.ts";
import type {} from "../tax/tax.contract.ts";
import type { Quote } from "./carts.rules.ts";

/** During an outage of tax or shipping. */
const DEFAULTS = { isUsable: isUsableIfOutdated };

/**
 * The data of other services on which the prices of carts depend. Unlike an order without a cart, a
 * cart requires promotions: the buyer may have seen a price with a discount.
 */
export function createSources(
	broker: ServiceBroker,
	call: Call,
	rounding: Rounding,
): PricingSources {
	const byCode = cachedLookup<PromotionRecord>(broker, "promotions", (codes) =>
		call("promotions.resolve", { codes }),
	);
	return {
		rounding,
		automatic: cachedStatus<readonly PromotionRecord[]>(
			broker,
			"promotions",
			() => call("promotions.automatic"),
			{},
		),
		resolve: (codes) => byCode(codes.map((code) => code.toLowerCase())),
		usage: (uses) => call("promotions.usage", { uses }),
		haveOrdered: (customers) => call("orders.haveOrdered", { customers }),
		taxStatus: cachedStatus(broker, "tax", () => call("tax.status"), DEFAULTS),
		calculateTax: (carts) => call("tax.calculate", { carts }),
		shippingStatus: cachedStatus(broker, "shipping", () => call("shipping.status"), DEFAULTS),
		quoteShipping: (carts) => call("shipping.quote", { carts }),
	};
}

/**
 * Sources for one cart during an outage: its last known values, without calls to other services. A
 * coupon is assumed to be unused.
 */
export function lastKnownSources(sources: PricingSources, quote: Quote | null): PricingSources {
	const { methods = [], tax = null, promotions = [] } = quote ?? {};
	const byCode = new Map(promotions.map((one) => [one.code?.toLowerCase(), one]));
	return {
		rounding: sources.rounding,
		automatic: () => orElse(sources.automatic, []),
		resolve: async (codes) => codes.map((code) => byCode.get(code.toLowerCase()) ?? null),
		usage: async (uses) => uses.map(() => 0),
		haveOrdered: async (customers) => customers.map(() => false),
		taxStatus: async () => ({ enabled: tax !== null }),
		calculateTax: async (carts) =>
			carts.map(({ lines }) => ({
				prices_include_tax: tax!.prices_include_tax,
				lines: lines.map(({ product_id }) => tax!.rates[product_id] ?? null),
				shipping: tax!.shipping,
			})),
		shippingStatus: async () => ({ enabled: methods.length > 0 }),
		quoteShipping: async (carts) => carts.map(() => methods),
	};
}

const orElse = <S>(load: () => Promise<S>, otherwise: S): Promise<S> =>
	load().catch((error) => {
		if (isUnavailable(error)) return otherwise;
		throw error;
	});
