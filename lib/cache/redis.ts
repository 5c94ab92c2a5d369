import { randomUUID } from "node:crypto";
import type { Redis } from "ioredis";
import { ANSWER_MS, RETRY_MS, soon } from "../redis.ts";
import { type CacheStore, HOLD_MS, LEASE_MS, MAX_TTL_MS, type Taken } from "./store.ts";

/** A key holds `v` and a value, `l` and a lease, or `h` and a holder. */
const TAKE = `
local held = redis.call("mget", unpack(KEYS))
for i, key in ipairs(KEYS) do
	if not held[i] then
		redis.call("set", key, ARGV[1], "px", ARGV[2])
		held[i] = ARGV[1]
	elseif held[i]:sub(1, 1) ~= "v" then
		held[i] = ""
	end
end
return held`;
const FILL = `
for i, key in ipairs(KEYS) do
	if redis.call("get", key) == ARGV[1] then redis.call("set", key, ARGV[i + 2], "px", ARGV[2]) end
end`;
const HOLD = `for _, key in ipairs(KEYS) do redis.call("set", key, ARGV[1], "px", ARGV[2]) end`;
const RELEASE = `
for _, key in ipairs(KEYS) do
	local held = redis.call("get", key)
	if held and (held == ARGV[1] or held:sub(1, 1) ~= "h") then redis.call("del", key) end
end`;

/** A script holds Redis up while it runs, and Lua's \`unpack\` has a limit. */
const MOST = 500;
/** After a lost connection nothing is read this long: first everybody says what they changed meanwhile. */
const SETTLE_MS = 2 * RETRY_MS + 1000;

/**
 * Keeps values in Redis, where every node sees the same. Without Redis nothing is kept and nothing fails; changes that could not be told are told as soon as
 * it is back.
 */
export function redisStore(redis: Redis, answerMs = ANSWER_MS): CacheStore {
	/** Keys whose change Redis was not told, and until when somebody might still have a value of them. */
	const owed = new Map<string, number>();
	let readableFrom = Number.POSITIVE_INFINITY;

	/** Answers undefined when Redis does not do it. It is then left alone, and taken for gone until a new connection works. */
	async function run<T>(script: string, keys: readonly string[], ...args: (string | number)[]): Promise<T[] | undefined> {
		try {
			const parts = Array.from({ length: Math.ceil(keys.length / MOST) }, (_, i) => keys.slice(i * MOST, (i + 1) * MOST));
			return (await soon(Promise.all(parts.map((part) => redis.eval(script, part.length, ...part, ...args))), answerMs)) as T[];
		} catch (error) {
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
		if (!(await run(RELEASE, [...owed.keys()], ""))) return;
		for (const [key, until] of debts) if (owed.get(key) === until) owed.delete(key);
		readableFrom = Date.now() + SETTLE_MS;
	}
	redis.on("ready", settle);
	redis.on("close", () => {
		readableFrom = Number.POSITIVE_INFINITY;
	});

	return {
		async take(keys) {
			const lease = `l${randomUUID()}`;
			const found = Date.now() < readableFrom ? undefined : await run<string[]>(TAKE, keys, lease, LEASE_MS);
			if (!found) return keys.map(() => "busy");
			return found.flat().map((text): Taken => (text === lease ? { lease } : text === "" ? "busy" : { value: text.slice(1) }));
		},
		async fill(entries, ttl) {
			for (const [lease, leased] of Map.groupBy(entries, (entry) => entry.lease)) {
				for (let i = 0; i < leased.length; i += MOST) {
					const part = leased.slice(i, i + MOST);
					const keys = part.map(({ key }) => key);
					await run(FILL, keys, lease, Math.min(ttl, MAX_TTL_MS), ...part.map(({ value }) => `v${value}`));
				}
			}
		},
		async hold(keys, holder) {
			await run(HOLD, keys, `h${holder}`, HOLD_MS);
		},
		async release(keys, holder) {
			if (!(await run(RELEASE, keys, `h${holder}`))) owe(keys);
		},
		async ping() {
			await soon(redis.ping(), answerMs);
		},
		async close() {
			redis.disconnect();
		},
	};
}
