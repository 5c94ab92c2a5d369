import {
	AckPolicy,
	type ConsumerConfig,
	connect,
	DeliverPolicy,
	type JetStreamClient,
	type JetStreamManager,
	type JsMsg,
	type NatsConnection,
	nanos,
	RetentionPolicy,
	StorageType,
	type StreamInfo,
} from "nats";
import { batch } from "./batch.ts";
import type { Event } from "./events.ts";

const HOUR = 3_600_000;
/** A consumer hands a message to somebody else when nobody spoke for it this long; a handler that takes longer keeps it alive. */
const ACK_WAIT = 30_000;
const KEEP_ALIVE = 10_000;
/** Events that one consumer takes over at once, and that it may hold. */
const BATCH = 200;
const HELD = 1000;
const PAUSE = 1000;

export interface StreamOptions {
	/** nats://host:4222, comma-separated for several. */
	readonly servers: string;
	/** Keeps clusters on one NATS apart. */
	readonly namespace: string;
	readonly replicas: number;
	readonly retentionHours: number;
	/** This node, as NATS shows it. */
	readonly name: string;
	onTrouble(where: string, error: unknown): void;
}

/** Events on JetStream: one stream, a durable pull consumer for each group and pattern. Both are made and kept up to date by whoever comes first. */
export async function openStream(options: StreamOptions) {
	const { servers, namespace, name, onTrouble } = options;
	const stream = namespace ? `EVENTS-${namespace}` : "EVENTS";
	const subject = (type: string) => `${namespace ? `${namespace}.` : ""}events.${type}`;
	const connection: NatsConnection = await connect({
		servers: servers.split(","),
		name,
		maxReconnectAttempts: -1,
		reconnectTimeWait: 500,
		waitOnFirstConnect: true,
	});
	const js: JetStreamClient = connection.jetstream({ timeout: 5000 });
	let stopping = false;
	const loops: Promise<void>[] = [];
	const consuming = new Set<{ close(): Promise<unknown> }>();

	const wanted = {
		name: stream,
		subjects: [subject(">")],
		storage: StorageType.File,
		retention: RetentionPolicy.Limits,
		num_replicas: options.replicas,
		max_age: nanos(options.retentionHours * HOUR),
		duplicate_window: nanos(120_000),
	};
	/** Made by whoever comes first; brought up to date when a setting has changed. */
	async function ensure(manager: JetStreamManager): Promise<StreamInfo> {
		try {
			return await manager.streams.add(wanted);
		} catch (error) {
			if ((error as { api_error?: { err_code: number } }).api_error?.err_code !== STREAM_NAME_IN_USE) throw error;
			return manager.streams.update(stream, wanted);
		}
	}
	const manager = () => connection.jetstreamManager({ timeout: 5000, checkAPI: false });

	/** Keeps a message ours while its handler runs. */
	async function settle(message: JsMsg, handled: Promise<void>): Promise<void> {
		const alive = setInterval(() => message.working(), KEEP_ALIVE);
		try {
			await handled;
			message.ack();
		} catch {
			message.nak(PAUSE);
		} finally {
			clearInterval(alive);
		}
	}

	async function consume(
		config: Partial<ConsumerConfig> & { durable_name: string },
		take: (message: JsMsg) => Promise<void>,
	): Promise<void> {
		const api = await manager();
		await ensure(api);
		await api.consumers.add(stream, config);
		const consumer = await js.consumers.get(stream, config.durable_name);
		const messages = await consumer.consume({ max_messages: HELD, idle_heartbeat: 2000, abort_on_missing_resource: true });
		consuming.add(messages);
		const held = new Set<Promise<void>>();
		try {
			for await (const message of messages) {
				const work = settle(message, take(message));
				held.add(work);
				work.finally(() => held.delete(work));
			}
			await Promise.all(held);
		} finally {
			consuming.delete(messages);
		}
	}

	return {
		/** Tells one incarnation of the stream from the next: it changes when the stream was lost and made anew. */
		async identity(): Promise<string> {
			const { created } = await ensure(await manager());
			return `${stream} ${created}`;
		},
		/** Sends events in one go; fulfils when the stream holds them all. What it holds already it ignores, by their ids. */
		async publish(events: readonly Event[]): Promise<void> {
			await Promise.all(
				events.map((event) => js.publish(subject(event.type), JSON.stringify(event), { msgID: event.id, expect: { streamName: stream } })),
			);
		},
		/**
		 * Hands over what the stream holds for a group, from where the group left off, also after restarts and lost connections.
		 * @param accept takes events over for good; those of a rejected batch come again
		 * @param reject takes over what is no event at all
		 */
		follow(
			group: string,
			pattern: string,
			accept: (events: Event[]) => Promise<void>,
			reject: (text: string, error: unknown) => Promise<void>,
		): void {
			const durable_name = `${group}-${pattern.replace(/\.\*$/, "-all").replaceAll(".", "-")}`;
			const config = {
				durable_name,
				filter_subject: subject(pattern.replace(/\.\*$/, ".>")),
				ack_policy: AckPolicy.Explicit,
				deliver_policy: DeliverPolicy.All,
				ack_wait: nanos(ACK_WAIT),
				max_ack_pending: HELD,
			};
			const together = batch<Event, undefined>(
				async (events) => {
					await accept(events);
					return events.map(() => undefined);
				},
				{ max: BATCH, lanes: 2 },
			);
			const take = async (message: JsMsg) => {
				let event: Event;
				try {
					event = message.json<Event>();
					if (typeof event?.id !== "string" || typeof event.type !== "string") throw new Error("It has no id or no type");
				} catch (error) {
					return reject(message.string(), error);
				}
				await together(event);
			};
			const forever = async () => {
				while (!stopping) {
					await consume(config, take).catch((error) => {
						if (!stopping) onTrouble(durable_name, error);
					});
					if (!stopping) await new Promise((resolve) => setTimeout(resolve, PAUSE));
				}
			};
			loops.push(forever());
		},
		/** A round trip to the server. */
		async ping(): Promise<void> {
			await connection.flush();
		},
		/** Takes nothing new, finishes what is held, then hangs up. */
		async close(): Promise<void> {
			stopping = true;
			await Promise.all([...consuming].map((messages) => messages.close()));
			await Promise.all(loops);
			await connection.drain();
		},
	};
}
export type EventStream = Awaited<ReturnType<typeof openStream>>;

/** JetStream's own number for it, in its API's error codes. */
const STREAM_NAME_IN_USE = 10058;
