import { isCountry } from "../../lib/addresses/countries.ts";
import { throwError } from "../../lib/contracts/contract.ts";
import { invalidField } from "../../lib/contracts/errors.ts";
import type { Infer, Value } from "../../lib/contracts/schema.ts";
import { branchesOf } from "../../lib/pricing/conditions.ts";
import type { TaxRate } from "../../lib/pricing/pricing.ts";
import { tax } from "./tax.contract.ts";

type GivenRate = Infer<typeof tax.actions.setRates.params>["rates"][number];
type Cart = Infer<typeof tax.actions.calculate.params>["carts"][number];
type TaxedCart = Value<typeof tax.actions.calculate.returns>[number];

/** A row as administrators see it; null for the whole country and for all products. */
export interface ListedRate extends TaxRate {
	readonly country: string;
	readonly region: string | null;
	readonly category: string | null;
}
/** Region and category in a form that ignores case; {@link ALL} for none. */
interface RateKey {
	readonly region_key: string;
	readonly category_key: string;
}
export type StoredRate = ListedRate & RateKey;
export type CountryRate = TaxRate & RateKey;

const ALL = "";
const SCALE = 1_000_000;

/** Key of a region, whose case and repeated spaces do not matter. */
const regionKey = (region: string): string =>
	region.normalize("NFKC").replace(/\s+/g, " ").trim().toLowerCase();

/**
 * The rows of a table.
 * @throws VALIDATION_ERROR for an unknown country, an invalid category or a rate with more than six
 * decimals; DUPLICATE_RATE with the positions of two rows with the same key
 */
export function toTable(rates: readonly GivenRate[]): StoredRate[] {
	const positions = new Map<string, number>();
	return rates.map((given, position) => {
		const row = toRow(given, `rates[${position}]`);
		const key = JSON.stringify([row.country, row.region_key, row.category_key]);
		const first = positions.get(key);
		if (first !== undefined) {
			const { country, region, category } = row;
			throwError(tax, "DUPLICATE_RATE", {
				...{ country, region, category },
				positions: [first, position],
			});
		}
		positions.set(key, position);
		return row;
	});
}

function toRow({ country, region = null, category = null, name, rate }: GivenRate, path: string) {
	if (!isCountry(country))
		throw invalidField(
			`${path}.country`,
			"COUNTRY",
			"Enter the ISO 3166-1 alpha-2 code of a country, such as DE",
		);
	if (Math.round(rate * SCALE) / SCALE !== rate)
		throw invalidField(`${path}.rate`, "DECIMALS", "A rate has at most 6 decimals: 0.19 is 19 %");
	const [category_key = ALL] = category === null ? [] : branchesOf(category);
	if (category !== null && category_key.split("/").includes(""))
		throw invalidField(`${path}.category`, "CATEGORY", "A category must not contain an empty part");
	const region_key = region === null ? ALL : regionKey(region);
	return { country, region, category, name, rate, region_key, category_key };
}

/** Rates of one country, by region key and category key. */
export type CountryRates = ReadonlyMap<string, ReadonlyMap<string, TaxRate>>;

/** Groups the rates of one country. */
export function toCountryRates(rows: readonly CountryRate[]): CountryRates {
	const regions = Map.groupBy(rows, ({ region_key }) => region_key);
	const byCategory = (ofRegion: readonly CountryRate[]) =>
		new Map(
			ofRegion.map(({ category_key, name, rate }) => [category_key, Object.freeze({ name, rate })]),
		);
	return new Map([...regions].map(([key, ofRegion]) => [key, byCategory(ofRegion)]));
}

/**
 * The rates of a cart. Of the rates that apply to a line, the most specific one is used: a rate of
 * the region precedes every rate of the whole country; then the longest category branch precedes a
 * shorter one, and a rate for all products comes last. Shipping has the rate without category.
 */
export function taxCart(
	{ region, lines }: Cart,
	rates: CountryRates,
	prices_include_tax: boolean,
): TaxedCart {
	const ofCountry = rates.get(ALL);
	const ofRegion = region === null ? undefined : rates.get(regionKey(region));
	const find = (keys: readonly string[]) => first(ofRegion, keys) ?? first(ofCountry, keys) ?? null;
	return {
		prices_include_tax,
		lines: lines.map(({ category }) =>
			find(category === null ? [ALL] : [...branchesOf(category), ALL]),
		),
		shipping: find([ALL]),
	};
}

function first(
	rates: ReadonlyMap<string, TaxRate> | undefined,
	keys: readonly string[],
): TaxRate | undefined {
	for (const key of keys) {
		const rate = rates?.get(key);
		if (rate) return rate;
	}
	return undefined;
}
