import { randomUUID } from "node:crypto";
import type { Redis } from "ioredis";
import { withTimeout } from "../async/with-timeout.ts";
import { COMMAND_TIMEOUT_MS, RETRY_MS } from "./redis-connection.ts";
import { type CacheStore, HOLD_MS, type KeyState, LEASE_MS, MAX_TTL_MS } from "./store.ts";

/**
 * A key contains `v` and a value, `l` and a lease, or `h` and the holders of the key, each with the
 * time of its expiry: `h1f0c…=1764320000000 77ab…=1764320004000`. Times are those of Redis.
 *
 * Values and leases expire. Holds have no time to live of their own: with the policy
 * `volatile-lru`, Redis evicts only keys that have one, and a hold must not be evicted. The next
 * access removes the holders that have expired. `holders` returns those of a text that have not,
 * without `except`. Nodes of earlier versions write one holder, without its expiry, into a key that
 * expires.
 */
const HOLDERS = `
local function now()
	local time = redis.call("time")
	return time[1] * 1000 + math.floor(time[2] / 1000)
end
local function holders(text, except)
	local alive = {}
	if not text or text:sub(1, 1) ~= "h" then return alive end
	if not text:find("=", 1, true) then
		alive[1] = string.format("%s=%.0f", text:sub(2), now() + ${HOLD_MS})
	end
	for one, holder, expiry in text:sub(2):gmatch("(([^ =]+)=(%d+))") do
		if holder ~= except and tonumber(expiry) > now() then alive[#alive + 1] = one end
	end
	return alive
end`;
const scripts = {
	cacheTake: `${HOLDERS}
local found = redis.call("mget", unpack(KEYS))
for i, key in ipairs(KEYS) do
	local text = found[i]
	if not text or (text:sub(1, 1) == "h" and #holders(text) == 0) then
		redis.call("set", key, ARGV[1], "px", ARGV[2])
		found[i] = ARGV[1]
	elseif text:sub(1, 1) ~= "v" then
		found[i] = ""
	end
end
return found`,
	cacheFill: `
for i, key in ipairs(KEYS) do
	if redis.call("get", key) == ARGV[1] then redis.call("set", key, ARGV[i + 2], "px", ARGV[2]) end
end`,
	cacheHold: `${HOLDERS}
local expiry = string.format("%.0f", now() + ARGV[2])
for _, key in ipairs(KEYS) do
	local all = holders(redis.call("get", key), ARGV[1])
	all[#all + 1] = ARGV[1] .. "=" .. expiry
	redis.call("set", key, "h" .. table.concat(all, " "))
end`,
	/**
	 * After an expired hold, a reader may have stored a value from before the change: it is deleted
	 * as well.
	 */
	cacheRelease: `${HOLDERS}
for _, key in ipairs(KEYS) do
	local all = holders(redis.call("get", key), ARGV[1])
	if #all == 0 then
		redis.call("del", key)
	else
		redis.call("set", key, "h" .. table.concat(all, " "))
	end
end`,
} as const;
type Scripts = Record<keyof typeof scripts, (...args: (string | number)[]) => Promise<unknown>>;

const timeoutError = (ms: number): Error => new Error(`Redis did not respond within ${ms} ms`);
const isOutOfMemory = (error: unknown): boolean =>
	/OOM command not allowed/.test((error as Error).message);

/**
 * Maximum keys per script call: Redis is blocked while a script runs, and Lua's `unpack` has a
 * limit.
 */
const MAX_KEYS = 500;
/**
 * Milliseconds without reads after a reconnection: all nodes first announce the changes that they
 * made meanwhile.
 */
const SETTLE_MS = 2 * RETRY_MS + 1000;
/** Limit of an announcement, in milliseconds. No caller waits for it. */
const ANNOUNCE_TIMEOUT_MS = 2000;

/**
 * Stores values in Redis, shared by all nodes. Without Redis, nothing is cached and nothing fails;
 * changes that Redis did not receive are announced when the connection is back.
 */
export function redisStore(redis: Redis, timeoutMs = COMMAND_TIMEOUT_MS): CacheStore {
	/** Keys with changes that Redis did not receive, and when the last stale value expires. */
	const unannounced = new Map<string, number>();
	let readableFrom = Number.POSITIVE_INFINITY;
	// Commands are sent by hash: their text is larger than most arguments.
	for (const [name, lua] of Object.entries(scripts)) redis.defineCommand(name, { lua });
	const commands = redis as Redis & Scripts;

	/**
	 * Runs a script. Returns undefined if Redis fails; a failed connection is then closed and unused
	 * until a new one works.
	 */
	async function run<T>(
		script: keyof Scripts,
		keys: readonly string[],
		args: readonly (string | number)[],
		limitMs = timeoutMs,
	): Promise<T[] | undefined> {
		try {
			const parts = Array.from({ length: Math.ceil(keys.length / MAX_KEYS) }, (_, i) =>
				keys.slice(i * MAX_KEYS, (i + 1) * MAX_KEYS),
			);
			const replies = await withTimeout(
				Promise.all(parts.map((part) => commands[script](part.length, ...part, ...args))),
				limitMs,
			);
			if (!replies) throw timeoutError(limitMs);
			return replies as T[];
		} catch (error) {
			// Redis works, but all of its values are exempt from eviction: nothing is cached meanwhile.
			if (isOutOfMemory(error)) return undefined;
			if (redis.status === "ready") {
				redis.emit("error", error);
				redis.disconnect(true);
			}
			return undefined;
		}
	}
	function deferAnnouncement(keys: readonly string[]): void {
		const now = Date.now();
		for (const key of keys) {
			unannounced.delete(key);
			unannounced.set(key, now + MAX_TTL_MS);
		}
		for (const [key, until] of unannounced) {
			if (until > now) break;
			unannounced.delete(key);
		}
	}
	async function announceChanges(): Promise<void> {
		const announced = [...unannounced];
		const limitMs = Math.max(timeoutMs, ANNOUNCE_TIMEOUT_MS);
		if (!(await run("cacheRelease", [...unannounced.keys()], [""], limitMs))) return;
		for (const [key, until] of announced)
			if (unannounced.get(key) === until) unannounced.delete(key);
		readableFrom = Date.now() + SETTLE_MS;
	}
	redis.on("ready", announceChanges);
	redis.on("close", () => {
		readableFrom = Number.POSITIVE_INFINITY;
	});

	return {
		async readOrLease(keys) {
			const lease = `l${randomUUID()}`;
			const found =
				Date.now() < readableFrom
					? undefined
					: await run<string[]>("cacheTake", keys, [lease, LEASE_MS]);
			if (!found) return keys.map(() => "busy");
			return found
				.flat()
				.map(
					(text): KeyState =>
						text === lease ? { lease } : text === "" ? "busy" : { value: text.slice(1) },
				);
		},
		async fill(entries, ttl) {
			for (const [lease, leased] of Map.groupBy(entries, (entry) => entry.lease)) {
				for (let i = 0; i < leased.length; i += MAX_KEYS) {
					const part = leased.slice(i, i + MAX_KEYS);
					const keys = part.map(({ key }) => key);
					await run("cacheFill", keys, [
						lease,
						Math.min(ttl, MAX_TTL_MS),
						...part.map(({ value }) => `v${value}`),
					]);
				}
			}
		},
		async hold(keys, holder) {
			await run("cacheHold", keys, [holder, HOLD_MS]);
		},
		async release(keys, holder) {
			if (!(await run("cacheRelease", keys, [holder]))) deferAnnouncement(keys);
		},
		async ping() {
			if (!(await withTimeout(redis.ping(), timeoutMs))) throw timeoutError(timeoutMs);
		},
		async close() {
			redis.disconnect();
		},
	};
}
