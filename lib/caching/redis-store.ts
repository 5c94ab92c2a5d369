import { randomUUID } from "node:crypto";
import type { Redis } from "ioredis";
import { withTimeout } from "../async/with-timeout.ts";
import { COMMAND_TIMEOUT_MS, RETRY_MS } from "./redis-connection.ts";
import { type CacheStore, HOLD_MS, type KeyState, LEASE_MS, MAX_TTL_MS } from "./store.ts";

/**
 * A key contains `v` and a value, `l` and a lease, or `h` and the holders of the key, each with the
 * time of its expiry: `h1f0c…=1764320000000 77ab…=1764320004000`. Times are those of Redis.
 *
 * Values and leases expire. Holds have no time to live of their own: with the policy `volatile-lru`,
 * Redis evicts only keys that have one, and a hold must not be evicted. The next access removes the
 * holders that have expired. `holders` returns those of a text that have not, without `except`. Nodes
 * of earlier versions write one holder, without its expiry, into a key that expires.
 */
const HOLDERS = `
local function now()
	local time = redis.call("time")
	return time[1] * 1000 + math.floor(time[2] / 1000)
end
local function holders(text, except)
	local alive = {}
	if not text or text:sub(1, 1) ~= "h" then return alive end
	if not text:find("=", 1, true) then alive[1] = string.format("%s=%.0f", text:sub(2), now() + ${HOLD_MS}) end
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
	/** After an expired hold, a reader may have stored a value from before the change: it is deleted as well. */
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

/** A script holds Redis up while it runs, and Lua's \`unpack\` has a limit. */
const MOST = 500;
/** After a lost connection nothing is read this long: first everybody says what they changed meanwhile. */
const SETTLE_MS = 2 * RETRY_MS + 1000;

/**
 * Keeps values in Redis, where every node sees the same. Without Redis nothing is kept and nothing fails; changes that could not be told are told as soon as
 * it is back.
 */
export function redisStore(redis: Redis, answerMs = COMMAND_TIMEOUT_MS): CacheStore {
	/** Keys whose change Redis was not told, and until when somebody might still have a value of them. */
	const owed = new Map<string, number>();
	let readableFrom = Number.POSITIVE_INFINITY;
	// Sent by hash: their text is larger than most of what they are called with.
	for (const [name, lua] of Object.entries(scripts)) redis.defineCommand(name, { lua });
	const commands = redis as Redis & Scripts;

	/** Answers undefined when Redis does not do it. It is then left alone, and taken for gone until a new connection works. */
	async function run<T>(
		script: keyof Scripts,
		keys: readonly string[],
		...args: (string | number)[]
	): Promise<T[] | undefined> {
		try {
			const parts = Array.from({ length: Math.ceil(keys.length / MOST) }, (_, i) =>
				keys.slice(i * MOST, (i + 1) * MOST),
			);
			const replies = await withTimeout(
				Promise.all(parts.map((part) => commands[script](part.length, ...part, ...args))),
				answerMs,
			);
			if (!replies) throw timeoutError(answerMs);
			return replies as T[];
		} catch (error) {
			// Redis works, but everything that it holds is exempt from eviction: nothing is cached meanwhile.
			if (isOutOfMemory(error)) return undefined;
			if (redis.status === "ready") {
				redis.emit("error", error);
				redis.disconnect(true);
			}
			return undefined;
		}
	}
	function owe(keys: readonly string[]): void {
		const now = Date.now();
		for (const key of keys) {
			owed.delete(key);
			owed.set(key, now + MAX_TTL_MS);
		}
		for (const [key, until] of owed) {
			if (until > now) break;
			owed.delete(key);
		}
	}
	async function settle(): Promise<void> {
		const debts = [...owed];
		if (!(await run("cacheRelease", [...owed.keys()], ""))) return;
		for (const [key, until] of debts) if (owed.get(key) === until) owed.delete(key);
		readableFrom = Date.now() + SETTLE_MS;
	}
	redis.on("ready", settle);
	redis.on("close", () => {
		readableFrom = Number.POSITIVE_INFINITY;
	});

	return {
		async readOrLease(keys) {
			const lease = `l${randomUUID()}`;
			const found =
				Date.now() < readableFrom
					? undefined
					: await run<string[]>("cacheTake", keys, lease, LEASE_MS);
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
				for (let i = 0; i < leased.length; i += MOST) {
					const part = leased.slice(i, i + MOST);
					const keys = part.map(({ key }) => key);
					await run(
						"cacheFill",
						keys,
						lease,
						Math.min(ttl, MAX_TTL_MS),
						...part.map(({ value }) => `v${value}`),
					);
				}
			}
		},
		async hold(keys, holder) {
			await run("cacheHold", keys, holder, HOLD_MS);
		},
		async release(keys, holder) {
			if (!(await run("cacheRelease", keys, holder))) owe(keys);
		},
		async ping() {
			if (!(await withTimeout(redis.ping(), answerMs))) throw timeoutError(answerMs);
		},
		async close() {
			redis.disconnect();
		},
	};
}
