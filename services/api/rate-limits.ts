import { Redis } from "ioredis";
import type { Logger, ServiceBroker } from "moleculer";
import type { Env } from "../../lib/env.ts";
import { commonError } from "../../lib/errors.ts";
import { catalogue } from "../../lib/metrics/catalogue.ts";
import { metricsOf } from "../../lib/metrics/registry.ts";
import { DISCONNECT_MS } from "../../lib/redis.ts";

const WINDOW_MS = 60_000;
/** A name, and how many requests it allows in a minute. */
interface Policy {
	readonly name: "default" | "strict";
	readonly quota: number;
}
/** How often something was counted, and when the count ends, in milliseconds from now. */
interface Count {
	readonly hits: number;
	readonly endsIn: number;
}
type Counter = (key: string) => Promise<Count>;
/** What a client is told of its limit. */
export type LimitHeaders = Readonly<Record<"RateLimit" | "RateLimit-Policy", string>>;

export interface RateLimits {
	/**
	 * Counts a request. Undefined when nothing is counted, Redis being away for instance.
	 * @param who a user's id or an address
	 * @param note is given the headers, also when the request is refused
	 * @throws RATE_LIMITED
	 */
	count(who: string, strict: boolean, note: (headers: LimitHeaders) => void): Promise<void>;
	/** How many requests passed uncounted because Redis did not answer. */
	readonly uncounted: number;
	close(): void;
}

/**
 * Limits what one user or one address may ask for (docs/security.md), counted for all gateways together where there is a Redis, and told to the client as
 * draft-ietf-httpapi-ratelimit-headers has it. A Redis that is away lets everybody pass: the shop is worth more than its limits.
 */
export function rateLimits(broker: ServiceBroker, logger: Logger, env: Env): RateLimits {
	const policies: Record<"default" | "strict", Policy> = {
		default: { name: "default", quota: env.RATE_LIMIT_PER_MINUTE },
		strict: { name: "strict", quota: env.RATE_LIMIT_STRICT_PER_MINUTE },
	};
	const metrics = metricsOf(broker);
	const refused = {
		default: metrics.counter(catalogue.refusedByLimit, "default"),
		strict: metrics.counter(catalogue.refusedByLimit, "strict"),
	};
	const uncounted = metrics.counter(catalogue.uncounted);
	const redis = env.RATE_LIMIT_ENABLED && env.CACHER ? connect(env.CACHER) : undefined;
	const counter = redis ? inRedis(redis, env.NAMESPACE) : inMemory();
	let away = false;

	/** @returns undefined when Redis does not answer */
	async function ask(key: string): Promise<Count | undefined> {
		try {
			const count = await counter(key);
			if (away) logger.info("Redis is back, requests are counted again");
			away = false;
			return count;
		} catch (error) {
			if (!away) logger.warn("Redis does not answer, so no rate limit is applied", { error });
			away = true;
			uncounted.add();
			return undefined;
		}
	}

	return {
		async count(who, strict, note) {
			if (!env.RATE_LIMIT_ENABLED) return;
			const { name, quota } = policies[strict ? "strict" : "default"];
			const count = await ask(`${name}:${who}`);
			if (!count) return;
			const seconds = Math.max(1, Math.ceil(count.endsIn / 1000));
			note({
				RateLimit: `"${name}";r=${Math.max(0, quota - count.hits)};t=${seconds}`,
				"RateLimit-Policy": `"${name}";q=${quota};w=${WINDOW_MS / 1000}`,
			});
			if (count.hits <= quota) return;
			refused[name].add();
			throw commonError("RATE_LIMITED", { retry_after: seconds });
		},
		get uncounted() {
			return uncounted.value;
		},
		close: () => redis?.disconnect(),
	};
}

/** Waits for nobody: a count that is late is worth less than an answer. */
function connect(url: string): Redis {
	const redis = new Redis(url, {
		connectTimeout: 2000,
		commandTimeout: 100,
		maxRetriesPerRequest: 0,
		enableOfflineQueue: false,
		enableAutoPipelining: true,
		retryStrategy: (times) => Math.min(times * 100, 1000),
		disconnectTimeout: DISCONNECT_MS,
	});
	// What fails is told where it is asked; without a listener it would be printed as well.
	redis.on("error", () => undefined);
	return redis;
}

/** The window begins with the first hit. */
const HIT = `local hits = redis.call("incr", KEYS[1])
if hits == 1 then redis.call("pexpire", KEYS[1], ARGV[1]) end
return { hits, redis.call("pttl", KEYS[1]) }`;

function inRedis(redis: Redis, namespace: string): Counter {
	redis.defineCommand("hit", { numberOfKeys: 1, lua: HIT });
	const { hit } = redis as Redis & { hit(key: string, window: number): Promise<[number, number]> };
	return async (key) => {
		const [hits, endsIn] = await hit.call(redis, `${namespace || "shop"}:limit:${key}`, WINDOW_MS);
		return { hits, endsIn };
	};
}

/** Windows of all keys begin and end together, so that what is over is thrown away in one go and no flood of addresses fills the memory for long. */
function inMemory(): Counter {
	let hits = new Map<string, number>();
	let ends = 0;
	return async (key) => {
		const now = Date.now();
		if (now >= ends) {
			hits = new Map();
			ends = now + WINDOW_MS;
		}
		const count = (hits.get(key) ?? 0) + 1;
		hits.set(key, count);
		return { hits: count, endsIn: ends - now };
	};
}
