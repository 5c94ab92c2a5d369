import { catalogue } from "../observability/metrics/catalogue.ts";
import { Metrics } from "../observability/metrics/registry.ts";
import type { Cache } from "./lease-cache.ts";
import { type LookupCounters, lookupCounters } from "./lookup-metrics.ts";
import { lru } from "./lru.ts";

interface Entry<A> {
	readonly answer: A;
	/** Of its service, before it was made. */
	readonly version: string;
}
const MOST_BYTES = 32 * 1024 * 1024;

/**
 * Keeps answers in this process. Each one bears the version that its service had before it was made, and is given to nobody who finds another version now: so it is
 * never older than a change that has answered, wherever that was made (docs/adr/0016). What was not asked for the longest time gives way.
 */
export class ValidatedCache<A> {
	readonly #cache: Cache;
	readonly #lookupsOf: (service: string) => LookupCounters;
	readonly #entries: ReturnType<typeof lru<Entry<A>>>;

	/** @param bytesOf how much memory an answer takes, more or less */
	constructor(
		cache: Cache,
		bytesOf: (answer: A) => number,
		{
			metrics = new Metrics(),
			most = MOST_BYTES,
			now,
		}: { metrics?: Metrics; most?: number; now?: () => number } = {},
	) {
		this.#cache = cache;
		this.#lookupsOf = lookupCounters(metrics, catalogue.validatedLookups);
		this.#entries = lru({ maxBytes: most, sizeOf: ({ answer }) => bytesOf(answer), now });
	}

	/**
	 * @param key everything that the answer depends on, except the rows of `service`
	 * @param ttl milliseconds
	 * @param make when it fails, nothing is kept
	 */
	async get(service: string, key: string, ttl: number, make: () => Promise<A>): Promise<A> {
		const [answer] = await this.getMany(service, [key], ttl, async () => [await make()]);
		return answer as A;
	}

	/** The same for many keys at once, in their order; `make` is asked for those that are not kept. What there is not, null, is not kept. */
	async getMany(
		service: string,
		keys: readonly string[],
		ttl: number,
		make: (missing: string[]) => Promise<readonly (A | null)[]>,
	): Promise<(A | null)[]> {
		const { hit, miss, busy } = this.#lookupsOf(service);
		const version = await this.#cache.version(service);
		if (version === undefined) {
			busy.add(keys.length);
			return [...(await make([...keys]))];
		}
		const answers: (A | null | undefined)[] = keys.map((key) => this.#find(key, version));
		const missing = keys.flatMap((key, i) => (answers[i] === undefined ? [{ key, i }] : []));
		hit.add(keys.length - missing.length);
		miss.add(missing.length);
		const made = missing.length > 0 ? await make(missing.map(({ key }) => key)) : [];
		missing.forEach(({ key, i }, n) => {
			const answer = made[n] ?? null;
			answers[i] = answer;
			if (answer !== null) this.#entries.set(key, { answer, version }, { ttl });
		});
		return answers as (A | null)[];
	}

	#find(key: string, version: string): A | undefined {
		const found = this.#entries.get(key);
		return found?.version === version ? found.answer : undefined;
	}

	get bytes(): number {
		return this.#entries.calculatedSize;
	}
}
