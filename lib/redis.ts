import { Redis } from "ioredis";

interface Told {
	warn(message: string, about: object): void;
	info(message: string): void;
}

/**
 * A connection to a Redis that may come and go: while it is gone every command fails at once, and nothing is queued. A server that takes
 * longer than `COMMAND_MS` counts as gone. Each outage is one line in the log.
 */
export function connectRedis(url: string, logger: Told): Redis {
	const redis = new Redis(url, {
		enableOfflineQueue: false,
		maxRetriesPerRequest: 0,
		autoResendUnfulfilledCommands: false,
		commandTimeout: COMMAND_MS,
		connectTimeout: 2000,
		retryStrategy: () => RETRY_MS,
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
const COMMAND_MS = 250;
/** Milliseconds between two tries to reach a Redis that is gone. */
export const RETRY_MS = 500;
