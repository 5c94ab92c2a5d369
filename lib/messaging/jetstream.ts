import { setTimeout as pause } from "node:timers/promises";
import {
	AckPolicy,
	type ConsumerConfig,
	connect,
	DeliverPolicy,
	Events,
	headers,
	type JetStreamManager,
	type JsMsg,
	nanos,
} from "nats";
import { microBatch, reject } from "../async/micro-batch.ts";
import type { Event } from "../contracts/event.ts";
import { eventBatchBytes } from "../resilience/message-size.ts";
import { BATCH_FORMAT, packEvents, type UnpackedEvents, unpackEvents } from "./event-batches.ts";
import type { ConsumerHandle } from "./event-transport.ts";
import type { Acknowledged } from "./outbox-destination.ts";
import { assertMaxPayload } from "./payload-limit.ts";
import { type StreamSize, streamConfig } from "./stream-config.ts";
import {
	type ConsumerState,
	consumerState,
	holdsMessage,
	identityOf,
	removeConsumersAhead,
	unreadShareAfter,
} from "./stream-state.ts";

/** Events that are taken over at once, and that one consumer of a node may hold besides the messages that are on their way to it. */
const BATCH = 200;
const HELD = 2 * BATCH;
const ON_THE_WAY = 50;
/** Messages that all nodes of a group may hold. Far more than one does: what a dead one held, until it is somebody else's, must not stop the others. */
const HELD_BY_ALL = 20 * HELD;
/** Before anything that failed is tried again. */
const PAUSE = 1000;

export interface StreamOptions extends StreamSize {
	/** nats://host:4222, comma-separated for several. */
	readonly servers: string;
	/** Keeps clusters on one NATS apart. */
	readonly namespace: string;
	/** Milliseconds after which a message is somebody else's when nobody spoke for it; a handler that takes longer keeps it alive. */
	readonly ackWait: number;
	/** This node, as NATS shows it. */
	readonly name: string;
	onError(where: string, error: unknown): void;
	/** The store of NATS has no room for `maxBytes`, so the stream has this size. */
	onReducedSize(maxBytes: number): void;
}

/**
 * Events on JetStream: one stream, and a durable pull consumer for each group and pattern, shared by the nodes of the group. Both are made,
 * kept up to date, and made anew when they were lost, by whoever comes first.
 */
export async function openJetStream(options: StreamOptions) {
	const { servers, namespace, name, onError, onReducedSize } = options;
	const prefix = namespace ? `${namespace}.` : "";
	const stream = namespace ? `EVENTS-${namespace}` : "EVENTS";
	const subject = (type: string) => `${prefix}events.${type}`;
	const connection = await connect({
		servers: servers.split(","),
		name,
		maxReconnectAttempts: -1,
		reconnectTimeWait: 500,
		waitOnFirstConnect: true,
	});
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
		wanted: Partial<ConsumerConfig> & { durable_name: string },
		prepare: (state: ConsumerState) => Promise<void>,
	) {
		const api = await manager();
		await config.ensure(api);
		await api.consumers.add(stream, wanted);
		await prepare(await stateOf(api, wanted.durable_name));
		const consumer = await js.consumers.get(stream, wanted.durable_name);
		return consumer.consume({
			max_messages: ON_THE_WAY,
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
		/** Calls `listener` when the connection was lost and is there again. @returns how that ends */
		onReconnect(listener: () => void): () => void {
			listeners.add(listener);
			return () => void listeners.delete(listener);
		},

		/**
		 * Sends events in one go, those of a type together; fulfils when the stream holds them all. A message that it took less than two minutes ago it
		 * ignores, by its id.
		 * @param again sends also what the stream may have taken a moment ago
		 * @returns the last message that the stream acknowledged
		 */
		async publish(events: readonly Event[], again = false): Promise<Acknowledged | undefined> {
			const mark = again ? `-${Date.now()}` : "";
			const acks = await Promise.all(
				packEvents(events, eventBatchBytes(connection)).map(async ({ type, id, text }) => {
					const format = headers();
					format.set("Content-Type", BATCH_FORMAT);
					const message = id + mark;
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
		 * Hands over what the stream holds for a group, from where the group left off, also after restarts and lost connections.
		 * @param accept takes events over for good; those of a rejected batch come again
		 * @param bury takes over for good what is no event at all
		 * @param prepare is called each time before the group begins to read
		 */
		follow(
			group: string,
			pattern: string,
			accept: (events: Event[]) => Promise<void>,
			bury: (text: string, error: unknown) => Promise<void>,
			prepare: (state: ConsumerState) => Promise<void>,
		): ConsumerHandle {
			const durable_name = consumerName(group, pattern);
			const consumer = {
				durable_name,
				filter_subject: subject(pattern.replace(/\*$/, ">")),
				ack_policy: AckPolicy.Explicit,
				deliver_policy: DeliverPolicy.All,
				ack_wait: nanos(options.ackWait),
				max_ack_pending: HELD_BY_ALL,
			};
			let stopping = false;
			const together = microBatch<Event[], void>(
				async (messages) => {
					// Others can do at once what has not been begun here.
					if (stopping) return messages.map(() => reject(new Error("This node is stopping")));
					await accept(messages.flat());
					return messages.map(() => undefined);
				},
				{ maxSize: BATCH, sizeOf: ({ length }) => length },
			);
			async function take({ events, invalid }: UnpackedEvents): Promise<void> {
				if (events.length > 0) await together(events);
				for (const { text, error } of invalid) await bury(text, error);
			}
			const holding = {
				aliveEvery: options.ackWait / 3,
				returnAfter: () => (stopping ? 0 : PAUSE),
			};
			let close: () => Promise<unknown> = async () => undefined;

			async function consume(): Promise<void> {
				const messages = await openConsumer(consumer, prepare);
				close = () => messages.close();
				if (stopping) await close();
				const held = new Set<Promise<void>>();
				let count = 0;
				for await (const message of messages) {
					const found = unpackEvents(message.string());
					const size = Math.max(1, found.events.length);
					const work = settle(message, take(found), holding).finally(() => {
						held.delete(work);
						count -= size;
					});
					held.add(work);
					count += size;
					while (count >= HELD) await Promise.race(held);
				}
				await Promise.all(held);
			}
			async function run(): Promise<void> {
				while (!stopping) {
					await consume().catch((error) => {
						if (!stopping) onError(durable_name, error);
					});
					if (!stopping) await pause(PAUSE);
				}
			}
			const running = run();
			return {
				/** Finishes what was begun and gives back the rest. */
				async stop() {
					stopping = true;
					await close();
					await running;
				},
			};
		},

		/** How far each consumer of a group has read the stream. */
		async states(group: string, patterns: readonly string[]): Promise<ConsumerState[]> {
			const api = await manager();
			return Promise.all(patterns.map((pattern) => stateOf(api, consumerName(group, pattern))));
		},
		/** The share of the stream's limits that the messages take which a consumer has still to take over. @param seq known to be taken over */
		async unreadShare({ unacknowledged, acked }: ConsumerState, seq: number): Promise<number> {
			if (unacknowledged === 0) return 0;
			const api = await manager();
			return unreadShareAfter(api, await config.info(api), Math.max(acked, seq));
		},

		/** A round trip to the server. */
		async ping(): Promise<void> {
			await connection.flush();
		},
		async close(): Promise<void> {
			await connection.drain();
		},
	};
}
/** The name of a group's consumer for one pattern. */
export const consumerName = (group: string, pattern: string) =>
	`${group}-${pattern.replace("*", "all").replaceAll(".", "-")}`;

export type EventStream = Awaited<ReturnType<typeof openJetStream>>;

/** Acknowledges a message when it is taken over, keeps it ours for as long as that takes, and gives it back when it fails. */
async function settle(
	message: JsMsg,
	taken: Promise<void>,
	{ aliveEvery, returnAfter }: { aliveEvery: number; returnAfter(): number },
): Promise<void> {
	const alive = setInterval(() => message.working(), aliveEvery);
	try {
		await taken;
		message.ack();
	} catch {
		message.nak(returnAfter());
	} finally {
		clearInterval(alive);
	}
}

const shared = new WeakMap<object, { stream: Promise<EventStream>; holders: number }>();
/** The stream of one broker, opened for the first service that needs it. `release` closes it after the last one. */
export async function acquireJetStream(
	broker: object,
	options: StreamOptions,
): Promise<{ stream: EventStream; release(): Promise<void> }> {
	const entry = shared.get(broker) ?? { stream: openJetStream(options), holders: 0 };
	shared.set(broker, entry);
	entry.holders++;
	const stream = await entry.stream;
	return {
		stream,
		async release() {
			if (--entry.holders > 0) return;
			shared.delete(broker);
			await stream.close();
		},
	};
}
