import type { ServiceBroker } from "moleculer";
import { cacheOf } from "../../lib/caching/lease-cache.ts";
import { ValidatedCache } from "../../lib/caching/validated-cache.ts";
import { commonError } from "../../lib/contracts/errors.ts";
import { etagOf, matchesEtag } from "../../lib/contracts/etag.ts";
import { metricsOf } from "../../lib/observability/metrics/registry.ts";
import type { Database } from "../../lib/persistence/database.ts";
import {
	type CountryRate,
	type CountryRates,
	type ListedRate,
	type StoredRate,
	toCountryRates,
} from "./tax.rules.ts";
import * as statements from "./tax.statements.ts";

const SERVICE = "tax";
/** Maximum age of an entry in milliseconds. A change of the table invalidates it at once. */
const MAX_AGE_MS = 60_000;
/** Estimated memory of a rate, and of a country without rates. */
const RATE_BYTES = 300;

export interface RateTable {
	/** The whole table. */
	list(): Promise<ListedRate[]>;
	/**
	 * Replaces the whole table in one transaction.
	 * @param ifMatch entity tags; the current one of the table must be among them
	 * @throws PRECONDITION_FAILED
	 */
	replace(table: readonly StoredRate[], ifMatch?: string): Promise<ListedRate[]>;
	/** Whether the table has rates. */
	isConfigured(): Promise<boolean>;
	/** The rates of each country. */
	ofCountries(countries: readonly string[]): Promise<CountryRates[]>;
}

/**
 * The table of rates. This process caches what `isConfigured` and `ofCountries` read, until the
 * table changes.
 */
export function openRateTable(broker: ServiceBroker, db: Database): RateTable {
	const [cache, metrics] = [cacheOf(broker), metricsOf(broker)];
	const rows = cache.of<never>(SERVICE, MAX_AGE_MS);
	const configured = new ValidatedCache<boolean>(cache, () => RATE_BYTES, { metrics });
	const countries = new ValidatedCache<CountryRates>(cache, bytesOf, { metrics });

	async function loadCountries(names: string[]): Promise<CountryRates[]> {
		const found = await db.query<CountryRate & { country: string }>(statements.OF_COUNTRIES, [
			names,
		]);
		const byCountry = Map.groupBy(found, ({ country }) => country);
		return names.map((name) => toCountryRates(byCountry.get(name) ?? []));
	}

	return {
		list: () => db.query<ListedRate>(statements.LIST),
		replace: (table, ifMatch) =>
			rows.whileInvalidated([], () =>
				db.transaction(async (tx) => {
					await tx.query(statements.LOCK);
					if (ifMatch && !matchesEtag(ifMatch, etagOf(await tx.query(statements.LIST)), "strong"))
						throw commonError("PRECONDITION_FAILED");
					await tx.query(statements.CLEAR);
					await tx.query(statements.INSERT, [JSON.stringify(table)]);
					return tx.query<ListedRate>(statements.LIST);
				}),
			),
		isConfigured: () =>
			configured.get(SERVICE, "configured", MAX_AGE_MS, async () => {
				const [row] = await db.query<{ enabled: boolean }>(statements.IS_CONFIGURED);
				return row!.enabled;
			}),
		ofCountries: async (names) =>
			(await countries.getMany(SERVICE, names, MAX_AGE_MS, loadCountries)) as CountryRates[],
	};
}

function bytesOf(rates: CountryRates): number {
	const sizes = [...rates.values()].map(({ size }) => size);
	return sizes.reduce((sum, size) => sum + size, 1) * RATE_BYTES;
}
