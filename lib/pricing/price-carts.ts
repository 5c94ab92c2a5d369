import { fromMinorUnits, toMinorUnits } from "../money/currency.ts";
import { type Candidates, type CouponProblem, findCandidates } from "./candidates.ts";
import { priceCart } from "./price-cart.ts";
import { NO_TAX, type PricedCart, type PricingLine, type TaxQuote } from "./pricing.ts";
import type { DeliveryMethod, PricingSources } from "./sources.ts";

/** A cart or an order to price. Contains a product at most once, and at least one. */
export interface CartToPrice {
	readonly currency: string;
	readonly lines: readonly {
		readonly product_id: string;
		readonly quantity: number;
		/** Major units. */
		readonly unit_price: number;
		readonly category: string | null;
		/** Of a variant. */
		readonly parent_id?: string | null;
		/** Grams per piece; 0 if unknown. */
		readonly weight: number;
	}[];
	/** Null for a guest. */
	readonly user_id: string | null;
	/** Normalized address of a guest; null while it is unknown. */
	readonly email: string | null;
	readonly coupon_codes: readonly string[];
	/** Destination of the cart; null for the country of the shop. */
	readonly country: string | null;
	readonly region: string | null;
	/** Code of the selected method; null selects the first one that delivers. */
	readonly shipping_method: string | null;
}

/** A condition that prevents the order that the buyer requests. */
type PricingProblem =
	| CouponProblem
	/** No method delivers the cart. */
	| { readonly code: "UNDELIVERABLE" }
	/** The selected method does not deliver the cart. */
	| { readonly code: "METHOD_UNAVAILABLE" };

export interface PricingResult {
	/** In minor units, see `inMajorUnits`. Without shipping if no method can be used. */
	readonly priced: PricedCart;
	/** Methods that deliver the cart, by position; empty while no methods are configured. */
	readonly shipping_methods: readonly DeliveryMethod[];
	readonly problems: readonly PricingProblem[];
}

/**
 * Prices carts with one call of each source for all of them.
 * @param now epoch milliseconds
 * @throws the errors of the sources
 */
export async function priceCarts(
	sources: PricingSources,
	carts: readonly CartToPrice[],
	now = Date.now(),
): Promise<PricingResult[]> {
	const lines = carts.map(toPricingLines);
	const [candidates, deliveries] = await Promise.all([
		findCandidates(sources, carts, now),
		findDeliveries(sources, carts, lines),
	]);
	const taxes = await findTaxes(sources, carts, lines, deliveries);
	return carts.map((cart, i) => {
		const { selected, methods, problem } = deliveries[i]!;
		const { promotions, problems, has_ordered } = candidates[i] as Candidates;
		const priced = priceCart({
			currency: cart.currency,
			lines: lines[i]!,
			promotions,
			customer: { user_id: cart.user_id, has_ordered },
			shipping: selected && {
				code: selected.code,
				name: selected.name,
				price: toMinorUnits(selected.price, cart.currency),
			},
			tax: taxes[i]!,
			rounding: sources.rounding,
		});
		return {
			priced,
			shipping_methods: methods,
			problems: problem ? [...problems, problem] : problems,
		};
	});
}

/** The lines with their prices in minor units. */
const toPricingLines = ({ currency, lines }: CartToPrice): PricingLine[] =>
	lines.map(({ product_id, quantity, unit_price, category, parent_id = null }) => ({
		product_id,
		quantity,
		unit_price: toMinorUnits(unit_price, currency),
		category,
		parent_id,
	}));

interface Delivery {
	readonly methods: readonly DeliveryMethod[];
	readonly selected: DeliveryMethod | null;
	readonly problem?: PricingProblem;
}
const FREE: Delivery = { methods: [], selected: null };
const UNAVAILABLE: Delivery = { ...FREE, problem: { code: "METHOD_UNAVAILABLE" } };

/** The methods of each cart and the one that applies; none while no methods are configured. */
async function findDeliveries(
	{ shippingStatus, quoteShipping }: PricingSources,
	carts: readonly CartToPrice[],
	lines: readonly PricingLine[][],
): Promise<Delivery[]> {
	if (!(await shippingStatus()).enabled)
		return carts.map(({ shipping_method }) => (shipping_method === null ? FREE : UNAVAILABLE));
	const quotes = await quoteShipping(
		carts.map(({ currency, country, lines: items }, i) => ({
			currency,
			country,
			subtotal: fromMinorUnits(
				lines[i]!.reduce((sum, line) => sum + line.unit_price * line.quantity, 0),
				currency,
			),
			weight: items.reduce((sum, { weight, quantity }) => sum + weight * quantity, 0),
		})),
	);
	return carts.map(({ shipping_method }, i) => selectMethod(quotes[i] ?? [], shipping_method));
}

function selectMethod(methods: readonly DeliveryMethod[], code: string | null): Delivery {
	if (methods.length === 0) return { methods, selected: null, problem: { code: "UNDELIVERABLE" } };
	const selected = code === null ? methods[0] : methods.find((method) => method.code === code);
	return selected
		? { methods, selected }
		: { methods, selected: null, problem: { code: "METHOD_UNAVAILABLE" } };
}

/** The tax rates of each cart; none while tax is not enabled. */
async function findTaxes(
	{ taxStatus, calculateTax }: PricingSources,
	carts: readonly CartToPrice[],
	lines: readonly PricingLine[][],
	deliveries: readonly Delivery[],
): Promise<readonly TaxQuote[]> {
	if (!(await taxStatus()).enabled) return lines.map(({ length }) => NO_TAX(length));
	return calculateTax(
		carts.map(({ currency, country, region }, i) => ({
			currency,
			country,
			region,
			lines: lines[i]!.map(({ product_id, category, unit_price, quantity }) => ({
				product_id,
				category,
				amount: fromMinorUnits(unit_price * quantity, currency),
			})),
			shipping: deliveries[i]!.selected?.price ?? 0,
		})),
	);
}
