import { Redis } from "ioredis";

interface Told {
	warn(message: string, about: object): void;
	info(message: string): void;
}

/** A connection to a Redis that may come and go: while it is gone every command fails at once, and nothing is queued. Each outage is one line in the log. */
export function connectRedis(url: string, logger: Told): Redis {
	const redis = new Redis(url, {
		enableOfflineQueue: false,
		maxRetriesPerRequest: 0,
		autoResendUnfulfilledCommands: false,
		// Of what the connection itself asks when it begins.
		commandTimeout: 2000,
		connectTimeout: 2000,
		retryStrategy: () => RETRY_MS,
		disconnectTimeout: DISCONNECT_MS,
	});
	let gone = false;
	let cause: unknown;
	redis.on("error", (error) => {
		cause = error;
	});
	redis.on("reconnecting", () => {
		if (!gone) logger.warn("Redis is gone; it goes on without it, and slower", { cause });
		gone = true;
	});
	redis.on("ready", () => {
		if (gone) logger.info("Redis is back");
		gone = false;
		cause = undefined;
	});
	return redis;
}
/** Milliseconds between two tries to reach a Redis that is gone. */
export const RETRY_MS = 500;
/** Milliseconds that a connection may take to close. One that is closed already, because Redis is gone, keeps the process for as long. */
export const DISCONNECT_MS = 100;
/** Milliseconds after which a Redis that does not answer is gone. */
export const COMMAND_TIMEOUT_MS = 250;
