import { type ConsumerConfig, connect, Events, headers, type JetStreamManager } from "nats";
import type { Event } from "../contracts/event.ts";
import { eventBatchBytes } from "../resilience/message-size.ts";
import { BATCH_FORMAT, packEvents, unpackEvents } from "./event-batches.ts";
import type { ConsumerHandle } from "./event-transport.ts";
import { consumerConfig, consumerName, startConsumer } from "./jetstream-consumer.ts";
import { natsOptions } from "./nats-options.ts";
import type { Acknowledged } from "./outbox-destination.ts";
import { assertMaxPayload } from "./payload-limit.ts";
import { nextMessage, type StreamSize, streamConfig } from "./stream-config.ts";
import {
	type ConsumerState,
	consumerState,
	holdsMessage,
	identityOf,
	removeConsumersAhead,
	unreadShareAfter,
} from "./stream-state.ts";

/** Messages that NATS sends to one node in advance. */
const MAX_IN_TRANSIT = 50;

export interface StreamOptions extends StreamSize {
	/** URLs of the servers, see {@link natsOptions}. */
	readonly servers: string;
	/** Separates clusters that share a NATS server. */
	readonly namespace: string;
	/**
	 * Milliseconds until a message is redelivered if its node is silent; a slow handler extends them.
	 */
	readonly ackWait: number;
	/** Connection name of this node in NATS. */
	readonly name: string;
	onError(where: string, error: unknown): void;
	/** Called if NATS has no room for `maxBytes`, with the actual size of the stream. */
	onReducedSize(maxBytes: number): void;
}

/**
 * Opens the JetStream transport: one stream, and a durable pull consumer for each group and
 * pattern, shared by the nodes of the group. The first user creates, updates or recreates both.
 */
export async function openJetStream(options: StreamOptions) {
	const { servers, namespace, name, onError, onReducedSize } = options;
	const prefix = namespace ? `${namespace}.` : "";
	const stream = namespace ? `EVENTS-${namespace}` : "EVENTS";
	const subject = (type: string) => `${prefix}events.${type}`;
	const subjectOf = (pattern: string) => subject(pattern.replace(/\*$/, ">"));
	const connection = await connect({ ...natsOptions(servers, name), waitOnFirstConnect: true });
	await assertMaxPayload(connection);
	const js = connection.jetstream({ timeout: 5000 });
	const manager = () => connection.jetstreamManager({ timeout: 5000, checkAPI: false });

	const config = streamConfig(stream, subject(">"), options, onReducedSize);
	const listeners = new Set<() => void>();
	async function watchConnection(): Promise<void> {
		for await (const { type } of connection.status())
			if (type === Events.Reconnect) for (const listener of listeners) listener();
	}
	watchConnection();

	async function openConsumer(
		consumer: Partial<ConsumerConfig> & { durable_name: string },
		prepare: (state: ConsumerState) => Promise<void>,
	) {
		const api = await manager();
		await config.ensure(api);
		await api.consumers.add(stream, consumer);
		await prepare(await stateOf(api, consumer.durable_name));
		return (await js.consumers.get(stream, consumer.durable_name)).consume({
			max_messages: MAX_IN_TRANSIT,
			idle_heartbeat: 2000,
			abort_on_missing_resource: true,
		});
	}

	const stateOf = async (api: JetStreamManager, consumer: string) =>
		consumerState(api, await config.info(api), consumer);
	let configured = false;
	return {
		async inspect(last: Acknowledged | undefined) {
			const api = await manager();
			if (!configured) await config.ensure(api);
			configured = true;
			const info = await config.info(api);
			const intact = !last || (await holdsMessage(api, stream, info.state, last));
			if (!intact) await removeConsumersAhead(api, stream, info.state);
			return { identity: identityOf(info), intact };
		},
		/**
		 * Calls `listener` after each reconnection.
		 * @returns a function that removes it
		 */
		onReconnect(listener: () => void): () => void {
			listeners.add(listener);
			return () => void listeners.delete(listener);
		},

		/**
		 * Publishes events, grouped by type; fulfills when the stream has stored all. The stream
		 * ignores messages with the ID of one in the last two minutes.
		 * @param again publishes even those that the stream has just stored
		 * @returns the last acknowledged message
		 */
		async publish(events: readonly Event[], again = false): Promise<Acknowledged | undefined> {
			const suffix = again ? `-${Date.now()}` : "";
			const acks = await Promise.all(
				packEvents(events, eventBatchBytes(connection)).map(async ({ type, id, text }) => {
					const format = headers();
					format.set("Content-Type", BATCH_FORMAT);
					const message = id + suffix;
					const { seq } = await js.publish(subject(type), text, {
						msgID: message,
						headers: format,
						expect: { streamName: stream },
					});
					return { sequence: seq, message };
				}),
			);
			return acks.sort((a, b) => a.sequence - b.sequence).at(-1);
		},

		/**
		 * Consumes the stream for a group, from its last acknowledgment, across restarts and lost
		 * connections.
		 * @param accept processes events durably; rejected ones are redelivered
		 * @param storeInvalid stores invalid messages
		 * @param prepare runs before each start of consuming
		 */
		follow(
			group: string,
			pattern: string,
			accept: (events: Event[]) => Promise<void>,
			storeInvalid: (text: string, error: unknown) => Promise<void>,
			prepare: (state: ConsumerState) => Promise<void>,
		): ConsumerHandle {
			const { ackWait } = options;
			const consumer = consumerConfig(group, pattern, {
				subject: subjectOf(pattern),
				ackWait,
			});
			return startConsumer({
				ackWait,
				open: () => openConsumer(consumer, prepare),
				accept,
				storeInvalid,
				onError: (error) => onError(consumer.durable_name, error),
			});
		},

		/** Progress of each consumer of a group. */
		async states(group: string, patterns: readonly string[]): Promise<ConsumerState[]> {
			const api = await manager();
			return Promise.all(patterns.map((pattern) => stateOf(api, consumerName(group, pattern))));
		},
		/** The events of a pattern in a range of the stream's sequences, by message. */
		async *eventsBetween(pattern: string, first: number, last: number): AsyncGenerator<Event[]> {
			const api = await manager();
			for (let seq = first; seq <= last; seq++) {
				const message = await nextMessage(api, stream, subjectOf(pattern), seq);
				if (!message || message.seq > last) return;
				seq = message.seq;
				yield unpackEvents(message.string()).events;
			}
		},
		/**
		 * The share of the stream's limits taken by messages that a consumer has not processed.
		 * @param seq a sequence known to be processed
		 */
		async unreadShare({ unacknowledged, acked }: ConsumerState, seq: number): Promise<number> {
			if (unacknowledged === 0) return 0;
			const api = await manager();
			return unreadShareAfter(api, await config.info(api), Math.max(acked, seq));
		},

		/** Checks the connection by a round trip. */
		async ping(): Promise<void> {
			await connection.flush();
		},
		async close(): Promise<void> {
			await connection.drain();
		},
	};
}
export type EventStream = Awaited<ReturnType<typeof openJetStream>>;

const streams = new WeakMap<object, { stream: Promise<EventStream>; holders: number }>();
/**
 * Returns the stream of a broker, opened for the first service that requires it. `release` closes
 * it after the last one.
 */
export async function acquireJetStream(
	broker: object,
	options: StreamOptions,
): Promise<{ stream: EventStream; release(): Promise<void> }> {
	const entry = streams.get(broker) ?? { stream: openJetStream(options), holders: 0 };
	streams.set(broker, entry);
	entry.holders++;
	const stream = await entry.stream;
	return {
		stream,
		async release() {
			if (--entry.holders > 0) return;
			streams.delete(broker);
			await stream.close();
		},
	};
}
