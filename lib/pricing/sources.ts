import { canonicalEmail } from "../text/email.ts";
import type { DefinedPromotion } from "./major-units.ts";
import type { Rounding, TaxQuote } from "./pricing.ts";

/*
 * Data of other services that prices depend on. Amounts are in major units, as between services.
 */

/** A promotion as its service returns it. */
export interface PromotionRecord extends DefinedPromotion {
	/** RFC 3339; inclusive. */
	readonly starts_at: string | null;
	/** RFC 3339; exclusive. */
	readonly ends_at: string | null;
	readonly usage_limit_per_customer: number | null;
	readonly is_exhausted: boolean;
}
/** A method that delivers a cart, with its price. */
export interface DeliveryMethod {
	readonly code: string;
	readonly name: string;
	readonly price: number;
}
export interface CartToQuote {
	readonly currency: string;
	readonly country: string | null;
	/** Before discounts. */
	readonly subtotal: number;
	/** Grams. */
	readonly weight: number;
}
export interface CartToTax {
	readonly currency: string;
	readonly country: string | null;
	readonly region: string | null;
	/** Amounts before discounts. */
	readonly lines: { product_id: string; category: string | null; amount: number }[];
	readonly shipping: number;
}
/** Uses of a promotion by a customer, see {@link customerOf}. */
export interface UseToCount {
	readonly customer: string;
	readonly promotion_id: string;
}

/**
 * Functions that supply the data, one result per element in the order of the elements. `priceCarts`
 * does not call a function whose result no cart needs. `automatic`, `taxStatus` and
 * `shippingStatus` are called for each batch and should be cached.
 * @throws any error fails the batch
 */
export interface PricingSources {
	readonly rounding: Rounding;
	/** All automatic promotions that have not ended. */
	automatic(): Promise<readonly PromotionRecord[]>;
	/** Promotions by code, at most {@link MAX_CODES}; null for an unknown code. */
	resolve(codes: string[]): Promise<readonly (PromotionRecord | null)[]>;
	/** Number of orders with which customers use promotions, for at most {@link MAX_ELEMENTS}. */
	usage(uses: UseToCount[]): Promise<readonly number[]>;
	/** Whether customers have ordered, for at most {@link MAX_ELEMENTS}. */
	haveOrdered(customers: string[]): Promise<readonly boolean[]>;
	taxStatus(): Promise<{ readonly enabled: boolean }>;
	/** Called only if tax is enabled. */
	calculateTax(carts: CartToTax[]): Promise<readonly TaxQuote[]>;
	shippingStatus(): Promise<{ readonly enabled: boolean }>;
	/** Methods that deliver each cart, by position. Called only if shipping methods exist. */
	quoteShipping(carts: CartToQuote[]): Promise<readonly (readonly DeliveryMethod[])[]>;
}
/**
 * Whether prices may depend on a status of tax or shipping that may be outdated, during an outage:
 * one that is enabled requires the service, while another could omit tax or shipping costs.
 */
export const isUsableIfOutdated = ({ enabled }: { readonly enabled: boolean }): boolean => enabled;

/** Maximum number of elements per call. */
export const MAX_CODES = 20;
export const MAX_ELEMENTS = 1000;

/**
 * The customer of a limit: the ID of the account, or the canonical e-mail address of a guest; null
 * while a guest has entered none.
 */
export const customerOf = ({
	user_id,
	email,
}: {
	readonly user_id: string | null;
	readonly email: string | null;
}): string | null => user_id ?? (email && (canonicalEmail(email) ?? email));

/**
 * Number of orders with which a customer can use a promotion; null without a limit. A first order
 * is only one. Redemptions enforce the same limit, which the promotions service stores as
 * `customer_limit`.
 */
export const customerLimitOf = ({
	conditions,
	usage_limit_per_customer,
}: Pick<PromotionRecord, "conditions" | "usage_limit_per_customer">): number | null =>
	conditions.first_order ? 1 : usage_limit_per_customer;

/** A thousand tons, so that the sum of the weights of a cart is finite. */
const MAX_WEIGHT = 1e9;
/**
 * Grams per piece, at most {@link MAX_WEIGHT}: the attribute `weight` of a product; 0 without a
 * valid one.
 */
export function weightOf(attributes: { readonly [name: string]: unknown } = {}): number {
	const { weight } = attributes;
	return typeof weight === "number" && weight > 0 ? Math.min(weight, MAX_WEIGHT) : 0;
}
