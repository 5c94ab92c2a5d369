import { type JetStreamManager, millis, type StreamInfo, type StreamState } from "nats";
import type { Acknowledged } from "./outbox-destination.ts";
import { messageAt } from "./stream-config.ts";

/** The header by which JetStream recognizes a message that it has taken already. */
const MESSAGE_ID = "Nats-Msg-Id";

/** How far a consumer has read the stream, as sequences. */
export interface ConsumerState {
	readonly consumer: string;
	/** Identity of the stream. */
	readonly stream: string;
	readonly first: number;
	readonly last: number;
	/** Everything up to here is acknowledged. */
	readonly acked: number;
	/** How many messages are not acknowledged yet. */
	readonly unacknowledged: number;
}

/** It changes when the stream was lost and created again. */
export const identityOf = ({ config, created }: StreamInfo): string => `${config.name} ${created}`;

/** Whether a stream still holds a message that it acknowledged, or has discarded it by age or size. */
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

/** Removes consumers that are ahead of a stream that was set back: they would skip the messages that get their old sequences next. */
export async function removeConsumersAhead(
	api: JetStreamManager,
	stream: string,
	{ last_seq }: StreamState,
): Promise<void> {
	for await (const { name, delivered } of api.consumers.list(stream))
		if (delivered.stream_seq > last_seq) await api.consumers.delete(stream, name);
}

/** @param info of the stream, from before this call: when the consumer has nothing left, it has read all that was there then */
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

/** The share of a stream's limits, in bytes and in age, that the messages behind a sequence take. At 1 they are about to be discarded. */
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
