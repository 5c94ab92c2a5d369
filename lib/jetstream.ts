import { setTimeout as pause } from "node:timers/promises";
import {
	AckPolicy,
	type ConsumerConfig,
	connect,
	DeliverPolicy,
	headers,
	type JetStreamManager,
	type JsMsg,
	nanos,
	RetentionPolicy,
	StorageType,
	type StreamInfo,
} from "nats";
import { batch, reject } from "./batch.ts";
import type { Follower } from "./bus.ts";
import { BATCH_FORMAT, packed, type Unpacked, unpacked } from "./event-batches.ts";
import type { Event } from "./events.ts";
import { assertAccepted, eventBatchBytes } from "./message-size.ts";

const HOUR = 3_600_000;
/** Events that are taken over at once, and that one consumer of a node may hold besides the messages that are on their way to it. */
const BATCH = 200;
const HELD = 2 * BATCH;
const ON_THE_WAY = 50;
/** Messages that all nodes of a group may hold. Far more than one does: what a dead one held, until it is somebody else's, must not stop the others. */
const HELD_BY_ALL = 20 * HELD;
/** Before anything that failed is tried again. */
const PAUSE = 1000;
/** What the stream has seen within this time it does not take twice. */
const DUPLICATES = 120_000;
/** JetStream's own number for "there is a stream of this name with another configuration". */
const STREAM_NAME_IN_USE = 10058;

export interface StreamOptions {
	/** nats://host:4222, comma-separated for several. */
	readonly servers: string;
	/** Keeps clusters on one NATS apart. */
	readonly namespace: string;
	readonly replicas: number;
	readonly retentionHours: number;
	/** Milliseconds after which a message is somebody else's when nobody spoke for it; a handler that takes longer keeps it alive. */
	readonly ackWait: number;
	/** This node, as NATS shows it. */
	readonly name: string;
	onTrouble(where: string, error: unknown): void;
}

/**
 * Events on JetStream: one stream, and a durable pull consumer for each group and pattern, shared by the nodes of the group. Both are made,
 * kept up to date, and made anew when they were lost, by whoever comes first.
 */
export async function openStream(options: StreamOptions) {
	const { servers, namespace, name, onTrouble } = options;
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
	await assertAccepted(connection);
	const js = connection.jetstream({ timeout: 5000 });
	const manager = () => connection.jetstreamManager({ timeout: 5000, checkAPI: false });

	const wanted = {
		name: stream,
		subjects: [subject(">")],
		storage: StorageType.File,
		retention: RetentionPolicy.Limits,
		num_replicas: options.replicas,
		max_age: nanos(options.retentionHours * HOUR),
		duplicate_window: nanos(DUPLICATES),
	};
	async function ensureStream(api: JetStreamManager): Promise<StreamInfo> {
		try {
			return await api.streams.add(wanted);
		} catch (error) {
			if ((error as { api_error?: { err_code: number } }).api_error?.err_code !== STREAM_NAME_IN_USE) throw error;
			return api.streams.update(stream, wanted);
		}
	}
	async function openConsumer(config: Partial<ConsumerConfig> & { durable_name: string }) {
		const api = await manager();
		await ensureStream(api);
		await api.consumers.add(stream, config);
		const consumer = await js.consumers.get(stream, config.durable_name);
		return consumer.consume({ max_messages: ON_THE_WAY, idle_heartbeat: 2000, abort_on_missing_resource: true });
	}

	return {
		/** Tells one incarnation of the stream from the next: it changes when the stream was lost and made anew. */
		async identity(): Promise<string> {
			const { created } = await ensureStream(await manager());
			return `${stream} ${created}`;
		},

		/**
		 * Sends events in one go, those of a type together; fulfils when the stream holds them all. A message that it took less than two minutes ago it
		 * ignores, by its id.
		 * @param again sends also what the stream may have taken a moment ago
		 */
		async publish(events: readonly Event[], again = false): Promise<void> {
			const mark = again ? `-${Date.now()}` : "";
			await Promise.all(
				packed(events, eventBatchBytes(connection)).map(({ type, id, text }) => {
					const format = headers();
					format.set("Content-Type", BATCH_FORMAT);
					return js.publish(subject(type), text, { msgID: id + mark, headers: format, expect: { streamName: stream } });
				}),
			);
		},

		/**
		 * Hands over what the stream holds for a group, from where the group left off, also after restarts and lost connections.
		 * @param accept takes events over for good; those of a rejected batch come again
		 * @param bury takes over for good what is no event at all
		 */
		follow(
			group: string,
			pattern: string,
			accept: (events: Event[]) => Promise<void>,
			bury: (text: string, error: unknown) => Promise<void>,
		): Follower {
			const durable_name = durable(group, pattern);
			const config = {
				durable_name,
				filter_subject: subject(pattern.replace(/\*$/, ">")),
				ack_policy: AckPolicy.Explicit,
				deliver_policy: DeliverPolicy.All,
				ack_wait: nanos(options.ackWait),
				max_ack_pending: HELD_BY_ALL,
			};
			let stopping = false;
			const together = batch<Event[], void>(
				async (messages) => {
					// Others can do at once what has not been begun here.
					if (stopping) return messages.map(() => reject(new Error("This node is stopping")));
					await accept(messages.flat());
					return messages.map(() => undefined);
				},
				{ max: BATCH, sizeOf: ({ length }) => length },
			);
			async function take({ events, others }: Unpacked): Promise<void> {
				if (events.length > 0) await together(events);
				for (const { text, error } of others) await bury(text, error);
			}
			const holding = { aliveEvery: options.ackWait / 3, returnAfter: () => (stopping ? 0 : PAUSE) };
			let close: () => Promise<unknown> = async () => undefined;

			async function consume(): Promise<void> {
				const messages = await openConsumer(config);
				close = () => messages.close();
				if (stopping) await close();
				const held = new Set<Promise<void>>();
				let count = 0;
				for await (const message of messages) {
					const found = unpacked(message.string());
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
						if (!stopping) onTrouble(durable_name, error);
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

		/** How many messages the stream holds that a group has still to take over. */
		async pending(group: string, patterns: readonly string[]): Promise<number> {
			const api = await manager();
			const waiting = patterns.map(async (pattern) => {
				const { num_pending, num_ack_pending } = await api.consumers.info(stream, durable(group, pattern));
				return num_pending + num_ack_pending;
			});
			return (await Promise.all(waiting)).reduce((sum, n) => sum + n, 0);
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
const durable = (group: string, pattern: string) => `${group}-${pattern.replace("*", "all").replaceAll(".", "-")}`;

export type EventStream = Awaited<ReturnType<typeof openStream>>;

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
export async function sharedStream(broker: object, options: StreamOptions): Promise<{ stream: EventStream; release(): Promise<void> }> {
	const entry = shared.get(broker) ?? { stream: openStream(options), holders: 0 };
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
