import type { RequestOptions } from "./options.ts";
import { NetworkError, ProblemError } from "./problems.ts";
import { backoff, pause, retryAfter } from "./retries.ts";
import { EventStreamParser } from "./sse.ts";

/** Milliseconds before a new connection, unless the server requests another pause; and at least. */
const RECONNECT_MS = 1000;
const SHORTEST_RECONNECT_MS = 100;
/** Milliseconds without a byte after which a connection counts as lost: three heartbeats. */
const SILENCE_MS = 45_000;

export interface StreamOptions extends RequestOptions {
	/** Milliseconds without a heartbeat after which a connection counts as lost. */
	readonly silence?: number;
	/** Is called when the connection is established, and with an error when it is lost. */
	readonly onConnection?: (state: "open" | "lost", error?: unknown) => void;
}
/** Event of a stream. */
export interface StreamEvent {
	readonly id: string;
	readonly type: string;
	readonly data: unknown;
}
/**
 * Events, oldest first. Resumes after a lost connection, with backoff, until the subject's last
 * event. Ends early when the loop is left or the signal is aborted.
 */
export type EventStream<E extends StreamEvent = StreamEvent> = AsyncIterableIterator<E>;

/**
 * Sends the request for the events after an ID.
 * @param once without further attempts, because the stream repeats the request itself
 * @returns null if no event will follow
 */
type Connect = (
	lastEventId: string | undefined,
	signal: AbortSignal,
	once: boolean,
) => Promise<Response | null>;

/** @throws ProblemError if the events are not accessible */
export async function* eventStream(
	connect: Connect,
	after: string | undefined,
	{ signal, silence = SILENCE_MS, onConnection }: StreamOptions,
): AsyncGenerator<StreamEvent, void, undefined> {
	let lastId = after;
	let retry = RECONNECT_MS;
	/** Failures since the last message. */
	let failures = 0;
	for (let connected = false; ; ) {
		const connection = new AbortController();
		const stop = signal ? AbortSignal.any([signal, connection.signal]) : connection.signal;
		let requested = 0;
		try {
			const response = await connect(lastId, stop, connected);
			if (!response) return;
			connected = true;
			onConnection?.("open");
			const parser = new EventStreamParser(lastId ?? "");
			for await (const bytes of chunks(response, connection, silence)) {
				for (const { id, type, data } of parser.push(bytes)) {
					failures = 0;
					lastId = id || lastId;
					yield { id, type, data: JSON.parse(data) };
				}
				retry = Math.max(SHORTEST_RECONNECT_MS, parser.retry ?? retry);
			}
			onConnection?.("lost");
		} catch (error) {
			signal?.throwIfAborted();
			// The first connection has already been attempted several times.
			if (!connected || !isTemporary(error)) throw error;
			failures++;
			onConnection?.("lost", error);
			requested = error instanceof ProblemError ? (retryAfter(error.headers) ?? 0) : 0;
		} finally {
			connection.abort();
		}
		const wait = failures > 0 ? Math.max(retry, backoff(failures)) : retry;
		await pause(Math.max(requested, wait), signal);
	}
}

const isTemporary = (error: unknown): boolean =>
	error instanceof NetworkError ||
	(error instanceof ProblemError && (error.status === 429 || error.status >= 500));

/** @throws NetworkError if the connection is lost */
async function* chunks(
	{ body }: Response,
	connection: AbortController,
	silence: number,
): AsyncGenerator<Uint8Array, void, undefined> {
	const reader = body!.getReader();
	try {
		for (;;) {
			const { done, value } = await readWithin(silence, reader, connection);
			if (done) return;
			yield value;
		}
	} finally {
		reader.cancel().catch(() => undefined);
	}
}

async function readWithin(
	ms: number,
	reader: ReadableStreamDefaultReader<Uint8Array>,
	connection: AbortController,
) {
	const late = setTimeout(() => connection.abort(), ms);
	try {
		return await reader.read();
	} catch (error) {
		throw new NetworkError("The connection of the event stream was lost", 1, error);
	} finally {
		clearTimeout(late);
	}
}
