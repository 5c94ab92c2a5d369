import type { ServiceBroker } from "moleculer";
import { metricsOf } from "../observability/metrics/registry.ts";
import { isOutage } from "../resilience/outages.ts";
import { cacheOf } from "./lease-cache.ts";
import { ValidatedCache } from "./validated-cache.ts";

/** Maximum age of an entry in milliseconds. A change of the service's rows invalidates it. */
const MAX_AGE_MS = 60_000;
/** Estimated memory of a row, and the limit per cache. */
const ROW_BYTES = 1000;
const MAX_BYTES = 16 * 1024 * 1024;
/** Estimated memory of a status. */
const STATUS_BYTES = 10_000;

/** Returns rows in the order of the IDs; null for an ID without a row. */
export type Lookup<Row> = (ids: string[]) => Promise<readonly (Row | null)[]>;

/**
 * Caches rows of a service in this process: an entry is valid until a row of the service changes
 * (docs/adr/0016).
 */
export function cachedLookup<Row>(
	broker: ServiceBroker,
	service: string,
	load: Lookup<Row>,
): Lookup<Row> {
	const entries = new ValidatedCache<Row>(cacheOf(broker), () => ROW_BYTES, {
		metrics: metricsOf(broker),
		maxBytes: MAX_BYTES,
	});
	return (ids) => entries.getMany(service, ids, MAX_AGE_MS, load);
}

/** The status of a service while it cannot be loaded. */
interface Defaults<S> {
	/** If no node has ever provided the action, such as those of an older version; else it throws. */
	readonly ifUnknown?: S;
	/** During an outage before the first status; else it throws. */
	readonly ifUnavailable?: S;
	/**
	 * Whether a status may be used during an outage although rows have changed since it was loaded;
	 * true by default.
	 */
	isUsable?(outdated: S): boolean;
}
/**
 * Caches the status of a service in this process, until a row of the service changes. During an
 * outage, its last status remains valid, because nothing can change it; a row may have changed
 * before.
 */
export function cachedStatus<S>(
	broker: ServiceBroker,
	service: string,
	load: () => Promise<S>,
	{ ifUnknown, ifUnavailable, isUsable = () => true }: Defaults<S>,
): () => Promise<S> {
	const cache = cacheOf(broker);
	const entries = new ValidatedCache<S>(cache, () => STATUS_BYTES, { metrics: metricsOf(broker) });
	/** The last status, with the version of the rows before it was loaded. */
	let last: { readonly status: S; readonly version?: string | undefined } | undefined =
		ifUnavailable === undefined ? undefined : { status: ifUnavailable };
	async function loadStatus(): Promise<S> {
		const version = await cache.version(service);
		const status = await load();
		last = { status, version };
		return status;
	}
	const isCurrent = async (version: string | undefined) => {
		const current = await cache.version(service);
		return current === undefined || current === version;
	};
	return async () => {
		try {
			return await entries.get(service, "status", MAX_AGE_MS, loadStatus);
		} catch (error) {
			if (last && isOutage(error) && (isUsable(last.status) || (await isCurrent(last.version))))
				return last.status;
			if (ifUnknown !== undefined && isUnknownAction(error)) return ifUnknown;
			throw error;
		}
	};
}

const isUnknownAction = (error: unknown): boolean =>
	(error as { type?: unknown } | null)?.type === "SERVICE_NOT_FOUND";
