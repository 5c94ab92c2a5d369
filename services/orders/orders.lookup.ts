import type { ServiceBroker } from "moleculer";
import { cacheOf } from "../../lib/caching/lease-cache.ts";
import { ValidatedCache } from "../../lib/caching/validated-cache.ts";
import type { Call } from "../../lib/contracts/contract.ts";
import { metricsOf } from "../../lib/observability/metrics/registry.ts";
import type {} from "../products/products.contract.ts";
import type {} from "../users/users.contract.ts";

/** Milliseconds that a row is kept here at most; a change ends that at once. */
const KEPT_MS = 60_000;
/** About what a row takes in memory, and how much all of a kind may. */
const ROW_BYTES = 1000;
const MOST_BYTES = 16 * 1024 * 1024;

/** Who wants to buy, and what there is: asked of their services, and kept on this node for as long as nothing of it has changed (docs/adr/0016). */
export function createLookup(broker: ServiceBroker, call: Call) {
	const [cache, metrics] = [cacheOf(broker), metricsOf(broker)];
	const kept = <Row>(service: string, ask: (ids: string[]) => Promise<readonly (Row | null)[]>) => {
		const near = new ValidatedCache<Row>(cache, () => ROW_BYTES, { metrics, most: MOST_BYTES });
		return (ids: string[]) => near.getMany(service, ids, KEPT_MS, ask);
	};
	return {
		users: kept("users", (ids) => call("users.resolve", { ids })),
		products: kept("products", (ids) => call("products.resolve", { ids })),
	};
}
