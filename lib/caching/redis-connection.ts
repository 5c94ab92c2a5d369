import { Redis } from "ioredis";

interface ConnectionLog {
	warn(message: string, about: object): void;
	info(message: string): void;
}

/**
 * Connects to Redis. While the connection is lost, commands fail immediately and are not queued.
 * Each outage is logged once.
 */
export function connectRedis(url: string, logger: ConnectionLog): Redis {
	const redis = new Redis(url, {
		enableOfflineQueue: false,
		maxRetriesPerRequest: 0,
		autoResendUnfulfilledCommands: false,
		commandTimeout: HANDSHAKE_TIMEOUT_MS,
		connectTimeout: HANDSHAKE_TIMEOUT_MS,
		retryStrategy: () => RETRY_MS,
		disconnectTimeout: DISCONNECT_MS,
	});
	// ioredis reads the option for each command. Its timers fire before it reads the socket, so a
	// process that was suspended would close a connection that works. The store has its own limits.
	redis.on("ready", () => {
		redis.options.commandTimeout = undefined;
	});
	redis.on("close", () => {
		redis.options.commandTimeout = HANDSHAKE_TIMEOUT_MS;
	});
	let unavailable = false;
	let cause: unknown;
	redis.on("error", (error) => {
		cause = error;
	});
	redis.on("reconnecting", () => {
		if (!unavailable) logger.warn("Redis is unavailable; continuing without a cache", { cause });
		unavailable = true;
	});
	redis.on("ready", () => {
		if (unavailable) logger.info("Redis is available again");
		unavailable = false;
		cause = undefined;
	});
	return redis;
}
/** Limit of a connection attempt, and of each command that ioredis sends in it. */
const HANDSHAKE_TIMEOUT_MS = 2000;
/** Milliseconds between two connection attempts. */
export const RETRY_MS = 500;
/**
 * Milliseconds that closing a connection may take. Closing while Redis is unavailable delays the
 * exit of the process for as long.
 */
export const DISCONNECT_MS = 100;
/** Milliseconds after which a Redis that does not respond counts as unavailable. */
export const COMMAND_TIMEOUT_MS = 250;
