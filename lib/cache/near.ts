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
		const [answer] = await this.answers(service, [key], ttl, async () => [await make()]);
		return answer as A;
	}

	/** The same for many keys at once, in their order; `make` is asked for those that are not kept. What there is not, null, is not kept. */
	async answers(
		service: string,
		keys: readonly string[],
		ttl: number,
		make: (missing: string[]) => Promise<readonly (A | null)[]>,
	): Promise<(A | null)[]> {
		const { hit, miss, busy } = this.#lookupsOf(service);
		const now = this.#now();
		const version = await this.#cache.version(service);
		if (version === undefined) {
			busy.add(keys.length);
			return [...(await make([...keys]))];
		}
		const answers: (A | null | undefined)[] = keys.map((key) => this.#find(key, version, now));
		const missing = keys.flatMap((key, i) => (answers[i] === undefined ? [{ key, i }] : []));
		hit.add(keys.length - missing.length);
		miss.add(missing.length);
		const made = missing.length > 0 ? await make(missing.map(({ key }) => key)) : [];
		missing.forEach(({ key, i }, n) => {
			const answer = made[n] ?? null;
			answers[i] = answer;
			if (answer !== null) this.#keep(key, { answer, version, until: now + ttl, bytes: this.#bytesOf(answer) + 2 * key.length });
		});
		return answers as (A | null)[];
	}

	#find(key: string, version: string, now: number): A | undefined {
		const found = this.#kept.get(key);
		if (found?.version !== version || found.until <= now) return undefined;
		// A map keeps the order of insertion.
		this.#kept.delete(key);
		this.#kept.set(key, found);
		return found.answer;
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
