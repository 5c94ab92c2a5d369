import {
	DiscardPolicy,
	type JetStreamManager,
	nanos,
	RetentionPolicy,
	StorageType,
	type StoredMsg,
	type StreamConfig,
	type StreamInfo,
} from "nats";

const HOUR = 3_600_000;
/** Milliseconds in which the stream ignores messages with a known ID. */
const DUPLICATE_WINDOW_MS = 120_000;
/**
 * Retention of the stream. Outboxes serve replays and refills, so the stream only buffers messages
 * for consumer groups.
 */
const STREAM_HOURS = 24;
/** A smaller stream would discard events before they are read. */
const LEAST_BYTES = 128 * 1024;
/** JetStream reserves no space for a stream without a limit. */
const UNLIMITED = -1;
/**
 * JetStream error codes. The first one means that a stream of this name has another configuration.
 */
const STREAM_NAME_IN_USE = 10058;
const STREAM_NOT_FOUND = 10059;
const NO_MESSAGE = 10037;
const NO_ROOM: readonly number[] = [10023, 10047];

export interface StreamSize {
	readonly replicas: number;
	readonly retentionHours: number;
	/** Above it the stream discards its oldest messages. */
	readonly maxBytes: number;
}

const errorCode = (error: unknown): number =>
	(error as { api_error?: { err_code: number } }).api_error?.err_code ?? 0;

/**
 * The configuration of the stream. It discards old messages instead of rejecting new ones: an
 * absent group must not stop all others.
 */
const configuration = (
	name: string,
	subject: string,
	{ replicas, retentionHours, maxBytes }: StreamSize,
): Partial<StreamConfig> => ({
	name,
	subjects: [subject],
	storage: StorageType.File,
	retention: RetentionPolicy.Limits,
	discard: DiscardPolicy.Old,
	num_replicas: replicas,
	max_age: nanos(Math.min(retentionHours, STREAM_HOURS) * HOUR),
	max_bytes: maxBytes,
	duplicate_window: nanos(DUPLICATE_WINDOW_MS),
});

async function addOrUpdate(
	api: JetStreamManager,
	config: Partial<StreamConfig>,
): Promise<StreamInfo> {
	try {
		return await api.streams.add(config);
	} catch (error) {
		if (errorCode(error) !== STREAM_NAME_IN_USE) throw error;
		return api.streams.update(config.name!, config);
	}
}

async function find(api: JetStreamManager, name: string): Promise<StreamInfo | undefined> {
	try {
		return await api.streams.info(name);
	} catch (error) {
		if (errorCode(error) !== STREAM_NOT_FOUND) throw error;
		return undefined;
	}
}

/** For `catch`: returns a value if the error is a lack of space, and rethrows other errors. */
const unlessFull =
	<T>(value: T) =>
	(error: unknown): T => {
		if (!NO_ROOM.includes(errorCode(error))) throw error;
		return value;
	};

/**
 * The stream of a name and subject. `ensure` creates or updates it. On a NATS server without space
 * for `maxBytes`, the stream gets at most half of the available space, or no limit if all space is
 * reserved for other streams.
 * @param onSmaller receives that size, or -1, once
 */
export function streamConfig(
	name: string,
	subject: string,
	size: StreamSize,
	onSmaller: (maxBytes: number) => void,
) {
	let fitting = size.maxBytes;
	const update = (api: JetStreamManager, maxBytes: number) =>
		addOrUpdate(api, configuration(name, subject, { ...size, maxBytes }));

	async function fit(api: JetStreamManager, found: StreamInfo | undefined): Promise<StreamInfo> {
		// Another node has determined the size.
		if (found && found.config.max_bytes > 0)
			return update(api, found.config.max_bytes).catch(unlessFull(found));
		for (
			let maxBytes = size.maxBytes / 2;
			maxBytes >= LEAST_BYTES;
			maxBytes = Math.floor(maxBytes / 2)
		) {
			const fits = await update(api, maxBytes).catch(unlessFull(undefined));
			if (!fits) continue;
			// An update requires space in addition to the reserved, so the reservation is released first.
			await api.streams.update(name, { max_bytes: UNLIMITED });
			return api.streams.update(name, { max_bytes: Math.floor(maxBytes / 2) });
		}
		return update(api, UNLIMITED);
	}
	async function ensure(api: JetStreamManager): Promise<StreamInfo> {
		const info = await update(api, fitting).catch(unlessFull(undefined));
		if (info) return info;
		const smaller = await fit(api, await find(api, name));
		if (smaller.config.max_bytes !== fitting) onSmaller(smaller.config.max_bytes);
		fitting = smaller.config.max_bytes;
		return smaller;
	}
	return {
		ensure,
		/** Returns the stream; creates it if missing. */
		info: async (api: JetStreamManager): Promise<StreamInfo> =>
			(await find(api, name)) ?? ensure(api),
	};
}
/** The message at a sequence; undefined if it was discarded. */
export const messageAt = (
	api: JetStreamManager,
	stream: string,
	seq: number,
): Promise<StoredMsg | undefined> => findMessage(api, stream, { seq });
/** The first message of a subject, which may have wildcards, at or after a sequence. */
export const nextMessage = (
	api: JetStreamManager,
	stream: string,
	subject: string,
	seq: number,
): Promise<StoredMsg | undefined> => findMessage(api, stream, { seq, next_by_subj: subject });

async function findMessage(
	api: JetStreamManager,
	stream: string,
	query: { readonly seq: number; readonly next_by_subj?: string },
): Promise<StoredMsg | undefined> {
	try {
		return await api.streams.getMessage(stream, query);
	} catch (error) {
		if (errorCode(error) !== NO_MESSAGE) throw error;
		return undefined;
	}
}
