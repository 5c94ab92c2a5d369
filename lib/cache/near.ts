import type { Cache } from "../cache.ts";
import { catalogue } from "../metrics/catalogue.ts";
import { Metrics } from "../metrics/registry.ts";
import { type Lookups, lookupsIn } from "./lookups.ts";

interface Entry<A> {
	readonly answer: A;
	/** Of its service, before it was made. */
	readonly version: string;
	readonly until: number;
	readonly bytes: number;
}
const MOST_BYTES = 32 * 1024 * 1024;

/**
 * Keeps answers in this process. Each one bears the version that its service had before it was made, and is given to nobody who finds another version now: so it is
 * never older than a change that has answered, wherever that was made (docs/adr/0016). What was not asked for the longest time gives way.
 */
export class Near<A> {
	readonly #cache: Cache;
	readonly #lookupsOf: (service: string) => Lookups;
	readonly #bytesOf: (answer: A) => number;
	readonly #most: number;
	readonly #now: () => number;
	readonly #kept = new Map<string, Entry<A>>();
	#bytes = 0;

	/** @param bytesOf how much memory an answer takes, more or less */
	constructor(
		cache: Cache,
		bytesOf: (answer: A) => number,
		{ metrics = new Metrics(), most = MOST_BYTES, now = Date.now }: { metrics?: Metrics; most?: number; now?: () => number } = {},
	) {
		this.#cache = cache;
		this.#bytesOf = bytesOf;
		this.#lookupsOf = lookupsIn(metrics, catalogue.nearLookups);
		this.#most = most;
		this.#now = now;
	}

	/**
	 * @param key everything that the answer depends on, except the rows of `service`
	 * @param ttl milliseconds
	 * @param make when it fails, nothing is kept
	 */
	async answer(service: string, key: string, ttl: number, make: () => Promise<A>): Promise<A> {
		const { hit, miss, busy } = this.#lookupsOf(service);
		const now = this.#now();
		const version = await this.#cache.version(service);
		if (version === undefined) {
			busy.add();
			return make();
		}
		const found = this.#kept.get(key);
		if (found?.version === version && found.until > now) {
			hit.add();
			// A map keeps the order of insertion.
			this.#kept.delete(key);
			this.#kept.set(key, found);
			return found.answer;
		}
		miss.add();
		const answer = await make();
		this.#keep(key, { answer, version, until: now + ttl, bytes: this.#bytesOf(answer) + 2 * key.length });
		return answer;
	}

	get bytes(): number {
		return this.#bytes;
	}

	#keep(key: string, entry: Entry<A>): void {
		this.#forget(key);
		this.#kept.set(key, entry);
		this.#bytes += entry.bytes;
		for (const oldest of this.#kept.keys()) {
			if (this.#bytes <= this.#most) break;
			this.#forget(oldest);
		}
	}
	#forget(key: string): void {
		this.#bytes -= this.#kept.get(key)?.bytes ?? 0;
		this.#kept.delete(key);
	}
}
