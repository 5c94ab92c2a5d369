import { Redis } from "ioredis";
import { LRUCache } from "lru-cache";
import type { Logger, ServiceBroker } from "moleculer";
import { RateLimiterMemory, RateLimiterRedis, RateLimiterRes } from "rate-limiter-flexible";
import { DISCONNECT_MS } from "../../../lib/caching/redis-connection.ts";
import { commonError } from "../../../lib/contracts/errors.ts";
import { catalogue } from "../../../lib/observability/metrics/catalogue.ts";
import { metricsOf } from "../../../lib/observability/metrics/registry.ts";
import type { Env } from "../../../lib/settings/env.ts";

const WINDOW_SECONDS = 60;
/** Number of addresses without quota for wrong secrets that a gateway remembers. */
const MAX_BLOCKED = 10_000;
type PolicyName = "default" | "strict" | "guesses";
interface Policy {
	readonly name: PolicyName;
	/** Requests allowed per window. */
	readonly quota: number;
	/** Counter in Redis, shared by all gateways; undefined without Redis. */
	readonly shared: RateLimiterRedis | undefined;
	/** Counter in the memory of this gateway. */
	readonly local: RateLimiterMemory;
}
/** Headers that describe a client's limit. */
export type LimitHeaders = Readonly<Record<"RateLimit" | "RateLimit-Policy", string>>;

export interface RateLimits {
	/**
	 * Counts a request.
	 * @param client user ID or address
	 * @param note receives the headers, also when the request is rejected
	 * @throws RATE_LIMITED
	 */
	count(client: string, strict: boolean, note: (headers: LimitHeaders) => void): Promise<void>;
	/**
	 * Counts a wrong secret, such as the token of a guest's cart. All gateways count together, but an
	 * address is blocked by each gateway that receives a wrong secret from it after the last allowed
	 * one, so that requests with a correct secret do not wait for Redis. Does not reject.
	 */
	countGuess(address: string): Promise<void>;
	/** @throws RATE_LIMITED while an address has no quota left for wrong secrets */
	assertMayGuess(address: string): void;
	/** Requests that this gateway counted by itself because Redis did not respond. */
	readonly uncounted: number;
	close(): void;
}

/**
 * Limits the requests of one user or address (docs/security.md), with the headers of
 * draft-ietf-httpapi-ratelimit-headers. Gateways share counters in Redis, if there is one. While
 * Redis does not respond each gateway counts in memory, so an outage does not disable the limits.
 */
export function rateLimits(broker: ServiceBroker, logger: Logger, env: Env): RateLimits {
	const redis = env.RATE_LIMIT_ENABLED && env.CACHER ? connect(env.CACHER) : undefined;
	const policyOf = (name: PolicyName, quota: number): Policy => {
		const options = {
			points: quota,
			duration: WINDOW_SECONDS,
			keyPrefix: `${env.NAMESPACE || "shop"}:limit:${name}`,
		};
		// A client without quota is rejected without another request to Redis.
		const shared =
			redis &&
			new RateLimiterRedis({
				...options,
				storeClient: redis,
				rejectIfRedisNotReady: true,
				inMemoryBlockOnConsumed: quota,
				customIncrTtlLuaScript: incrementScript(env.NAMESPACE || "shop"),
			});
		return { name, quota, shared, local: new RateLimiterMemory(options) };
	};
	const policies: Record<PolicyName, Policy> = {
		default: policyOf("default", env.RATE_LIMIT_PER_MINUTE),
		strict: policyOf("strict", env.RATE_LIMIT_STRICT_PER_MINUTE),
		guesses: policyOf("guesses", env.RATE_LIMIT_STRICT_PER_MINUTE),
	};
	const metrics = metricsOf(broker);
	const refused: Record<PolicyName, { add(): void }> = {
		default: metrics.counter(catalogue.refusedByLimit, "default"),
		strict: metrics.counter(catalogue.refusedByLimit, "strict"),
		guesses: metrics.counter(catalogue.refusedByLimit, "guesses"),
	};
	const uncounted = metrics.counter(catalogue.uncounted);
	/** Addresses without quota for wrong secrets, with the time in ms at which their window ends. */
	const blocked = new LRUCache<string, number>({ max: MAX_BLOCKED });
	let redisDown = false;

	async function consume({ shared, local }: Policy, client: string): Promise<Count> {
		if (!shared) return countWith(local, client);
		try {
			const count = await countWith(shared, client);
			if (redisDown) logger.info("Redis responds again; rate limits are shared between gateways");
			redisDown = false;
			return count;
		} catch (error) {
			if (!redisDown)
				logger.warn("Redis does not respond; this gateway counts requests in memory", { error });
			redisDown = true;
			uncounted.add();
			return countWith(local, client);
		}
	}

	function refuse(name: PolicyName, retry_after: number): never {
		refused[name].add();
		throw commonError("RATE_LIMITED", { retry_after });
	}

	return {
		async count(client, strict, note) {
			if (!env.RATE_LIMIT_ENABLED) return;
			const policy = policies[strict ? "strict" : "default"];
			const { name, quota } = policy;
			const { allowed, remaining, endsIn } = await consume(policy, client);
			const seconds = secondsOf(endsIn);
			note({
				RateLimit: `"${name}";r=${remaining};t=${seconds}`,
				"RateLimit-Policy": `"${name}";q=${quota};w=${WINDOW_SECONDS}`,
			});
			if (allowed) return;
			refuse(name, seconds);
		},
		async countGuess(address) {
			if (!env.RATE_LIMIT_ENABLED) return;
			const { remaining, endsIn } = await consume(policies.guesses, address);
			if (remaining === 0) blocked.set(address, Date.now() + endsIn);
		},
		assertMayGuess(address) {
			const left = (blocked.get(address) ?? 0) - Date.now();
			if (left > 0) refuse("guesses", secondsOf(left));
		},
		get uncounted() {
			return uncounted.value;
		},
		close: () => redis?.disconnect(),
	};
}

const secondsOf = (ms: number): number => Math.max(1, Math.ceil(ms / 1000));

interface Count {
	readonly allowed: boolean;
	readonly remaining: number;
	/** Milliseconds until the window ends. */
	readonly endsIn: number;
}
/** Counts a request. @throws errors of the store; exceeding the quota is not an error here */
async function countWith(
	limiter: RateLimiterRedis | RateLimiterMemory,
	client: string,
): Promise<Count> {
	try {
		const { remainingPoints, msBeforeNext } = await limiter.consume(client);
		return { allowed: true, remaining: remainingPoints, endsIn: msBeforeNext };
	} catch (refusal) {
		if (!(refusal instanceof RateLimiterRes)) throw refusal;
		return { allowed: false, remaining: 0, endsIn: refusal.msBeforeNext };
	}
}

/**
 * Number of hashes. Their windows end at different times, so rejected clients return spread out.
 */
const BUCKETS = 16;

/**
 * Counters are fields of a few hashes, and the window of a hash begins with its first request. A
 * hash has no time to live: with the policy `volatile-lru`, Redis evicts only keys that have one,
 * so cached pages never displace counters. The next request after the end of a window replaces the
 * hash. A clock that was set back ends the window as well.
 *
 * @param namespace prefix of the hashes; the script gets the counter's key, the points and the
 * window in seconds
 */
const incrementScript = (namespace: string): string => `
local hash = 0
for i = 1, #KEYS[1] do hash = (hash * 31 + string.byte(KEYS[1], i)) % 4294967296 end
local bucket = ${JSON.stringify(`${namespace}:limits:`)} .. string.format("%d", hash % ${BUCKETS})
local time = redis.call("time")
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local window = tonumber(ARGV[2]) * 1000
local left = tonumber(redis.call("hget", bucket, "ends") or 0) - now
if left <= 0 or left > window then
	redis.call("unlink", bucket)
	redis.call("hset", bucket, "ends", string.format("%.0f", now + window))
	left = window
end
return { redis.call("hincrby", bucket, KEYS[1], ARGV[1]), left }`;

/** Connects to Redis with short timeouts: counting must not delay responses. */
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
	// Each command reports its failure; without a listener ioredis prints it as well.
	redis.on("error", () => undefined);
	return redis;
}
