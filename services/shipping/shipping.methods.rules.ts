import { isCountry } from "../../lib/addresses/countries.ts";
import { assertDecimals } from "../../lib/contracts/decimals.ts";
import { invalidField } from "../../lib/contracts/errors.ts";
import type { Infer, Value } from "../../lib/contracts/schema.ts";
import { isCurrency } from "../../lib/money/currency.ts";
import type { methodActions, shippingMethod } from "./shipping.contract.methods.ts";

export type Method = Infer<typeof shippingMethod>;
type Tier = Method["tiers"][number];
type Cart = Infer<typeof methodActions.quote.params>["carts"][number];
type Quote = Value<typeof methodActions.quote.returns>[number];

/** Entry that matches every country. */
const EVERYWHERE = "*";

/** A method as it is requested, with the defaults of the fields that are absent. */
export const newMethod = (params: Infer<typeof methodActions.createMethod.params>): Method => ({
	countries: [EVERYWHERE],
	free_from: null,
	tiers: [],
	...params,
});

/**
 * Checks a method beyond its contract.
 * @throws VALIDATION_ERROR for an unknown currency or country, an amount with more decimals than
 * the currency has, or a tier without a limit
 */
export function assertMethod({ currency, countries, price, free_from, tiers }: Method): void {
	if (!isCurrency(currency))
		throw invalidField("currency", "CURRENCY", `${currency} is not an ISO 4217 currency`);
	assertAmount("price", price, currency);
	assertAmount("free_from", free_from, currency);
	for (const [i, tier] of tiers.entries()) assertTier(`tiers[${i}]`, tier, currency);
	for (const [i, country] of countries.entries()) {
		if (country === EVERYWHERE && countries.length > 1)
			throw invalidField(
				`countries[${i}]`,
				"COUNTRY",
				'"*" includes every country: remove the others',
			);
		if (country !== EVERYWHERE && !isCountry(country))
			throw invalidField(
				`countries[${i}]`,
				"COUNTRY",
				'Enter the ISO 3166-1 alpha-2 code of a country, such as DE, or "*"',
			);
	}
}

function assertTier(field: string, tier: Tier, currency: string): void {
	if (tier.up_to_subtotal === undefined && tier.up_to_weight === undefined)
		throw invalidField(
			field,
			"LIMIT",
			"A tier has the limit up_to_subtotal, up_to_weight, or both",
		);
	assertAmount(`${field}.price`, tier.price, currency);
	assertAmount(`${field}.up_to_subtotal`, tier.up_to_subtotal, currency);
}

function assertAmount(field: string, amount: number | null | undefined, currency: string): void {
	if (amount != null) assertDecimals(field, amount, currency);
}

/**
 * The methods that deliver a cart, with their prices.
 * @param methods by position
 * @param shopCountry country of a cart without one
 */
export function quoteCart(cart: Cart, methods: readonly Method[], shopCountry: string): Quote {
	const { currency, country, subtotal, weight } = cart;
	const destination = country ?? shopCountry;
	return methods.flatMap((method) =>
		method.currency === currency && delivers(method, destination)
			? [{ code: method.code, name: method.name, price: priceOf(method, subtotal, weight) }]
			: [],
	);
}

const delivers = ({ countries }: Method, country: string): boolean =>
	countries.includes(EVERYWHERE) || countries.includes(country);

/** Price of a method: free from its amount, then its first tier that includes the cart. */
function priceOf({ free_from, tiers, price }: Method, subtotal: number, weight: number): number {
	if (free_from !== null && subtotal >= free_from) return 0;
	return tiers.find((tier) => includes(tier, subtotal, weight))?.price ?? price;
}

/** A tier with both limits requires both. */
const includes = ({ up_to_subtotal, up_to_weight }: Tier, subtotal: number, weight: number) =>
	(up_to_subtotal === undefined || subtotal <= up_to_subtotal) &&
	(up_to_weight === undefined || weight <= up_to_weight);
