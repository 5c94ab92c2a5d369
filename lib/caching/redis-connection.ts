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

/** A command's answer; rejects when it does not come within `ms`. */
export function withCommandTimeout<T>(command: Promise<T>, ms: number): Promise<T> {
	return new Promise((resolve, reject) => {
		// A busy event loop runs late timers first: what lies in the socket already is read before Redis counts as silent.
		const late = () =>
			setImmediate(() => reject(new Error(`Redis has not answered within ${ms} ms`)));
		const timer = setTimeout(late, ms);
		command.then(resolve, reject).finally(() => clearTimeout(timer));
	});
}
