import type { ServiceBroker } from "moleculer";
import { cacheOf } from "../../lib/caching/lease-cache.ts";
import { ValidatedCache } from "../../lib/caching/validated-cache.ts";
import type { Call } from "../../lib/contracts/contract.ts";
import { metricsOf } from "../../lib/observability/metrics/registry.ts";
import type {} from "../products/products.contract.ts";
import type {} from "../users/users.contract.ts";

/** Maximum age of an entry in milliseconds. A change of the row invalidates the entry at once. */
const MAX_AGE_MS = 60_000;
/** Estimated memory of a row, and the limit per cache. */
const ROW_BYTES = 1000;
const MAX_BYTES = 16 * 1024 * 1024;

/** Returns rows in the order of the IDs; null for an ID without a row. */
export type Lookup<Row> = (ids: string[]) => Promise<readonly (Row | null)[]>;

/**
 * Lookups of users and products, with a validated cache in this process: an entry is valid until a
 * row of its service changes (docs/adr/0016).
 */
export function createLookup(broker: ServiceBroker, call: Call) {
	const [cache, metrics] = [cacheOf(broker), metricsOf(broker)];
	const cached = <Row>(service: string, load: Lookup<Row>) => {
		const entries = new ValidatedCache<Row>(cache, () => ROW_BYTES, { metrics, most: MAX_BYTES });
		return (ids: string[]) => entries.getMany(service, ids, MAX_AGE_MS, load);
	};
	return {
		users: cached("users", (ids) => call("users.resolve", { ids })),
		products: cached("products", (ids) => call("products.resolve", { ids })),
	};
}
