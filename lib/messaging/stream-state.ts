import { type JetStreamManager, millis, type StreamInfo, type StreamState } from "nats";
import type { Acknowledged } from "./outbox-destination.ts";
import { messageAt } from "./stream-config.ts";

/** Header of the message ID, by which JetStream detects duplicates. */
const MESSAGE_ID = "Nats-Msg-Id";

/** Progress of a consumer in the stream, as sequences. */
export interface ConsumerState {
	readonly consumer: string;
	/** Identity of the stream. */
	readonly stream: string;
	readonly first: number;
	readonly last: number;
	/** All messages up to this one are acknowledged. */
	readonly acked: number;
	/** Number of messages that are not acknowledged. */
	readonly unacknowledged: number;
}

/** Identity of a stream, which changes if it is lost and created again. */
export const identityOf = ({ config, created }: StreamInfo): string => `${config.name} ${created}`;

/** Whether a stream contains an acknowledged message, or has discarded it by age or size. */
export async function holdsMessage(
	api: JetStreamManager,
	stream: string,
	{ first_seq, last_seq }: StreamState,
	{ sequence, message }: Acknowledged,
): Promise<boolean> {
	if (sequence > last_seq) return false;
	if (sequence < first_seq) return true;
	const stored = await messageAt(api, stream, sequence);
	return !stored || stored.header.get(MESSAGE_ID) === message;
}

/**
 * Removes consumers that are ahead of a reset stream: they would skip the messages that get their
 * old sequences.
 */
export async function removeConsumersAhead(
	api: JetStreamManager,
	stream: string,
	{ last_seq }: StreamState,
): Promise<void> {
	for await (const { name, delivered } of api.consumers.list(stream))
		if (delivered.stream_seq > last_seq) await api.consumers.delete(stream, name);
}

/**
 * Reads the progress of a consumer.
 * @param info of the stream, read before this call: a consumer without open messages has read all
 * messages up to `info`
 */
export async function consumerState(
	api: JetStreamManager,
	info: StreamInfo,
	consumer: string,
): Promise<ConsumerState> {
	const { ack_floor, num_pending, num_ack_pending } = await api.consumers.info(
		info.config.name,
		consumer,
	);
	return {
		consumer,
		stream: identityOf(info),
		first: info.state.first_seq,
		last: info.state.last_seq,
		acked: ack_floor.stream_seq,
		unacknowledged: num_pending + num_ack_pending,
	};
}

/**
 * The share of a stream's limits, in bytes and age, taken by messages after a sequence. At 1 they
 * are about to be discarded.
 */
export async function unreadShareAfter(
	api: JetStreamManager,
	{ config, state }: StreamInfo,
	sequence: number,
): Promise<number> {
	const { first_seq, last_seq, bytes } = state;
	const from = Math.max(sequence + 1, first_seq);
	if (from > last_seq) return 0;
	const inBytes =
		config.max_bytes > 0
			? (bytes * (last_seq - from + 1)) / (last_seq - first_seq + 1) / config.max_bytes
			: 0;
	const oldest = await messageAt(api, config.name, from);
	const inAge =
		oldest && config.max_age > 0
			? (Date.now() - oldest.time.getTime()) / millis(config.max_age)
			: 0;
	return Math.min(1, Math.max(0, inBytes, inAge));
}
