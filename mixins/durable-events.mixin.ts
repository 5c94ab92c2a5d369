import { startPoller } from "../lib/async/poller.ts";
import { currentTraceparent } from "../lib/context/traceparent.ts";
import type {
	Contract,
	EventData,
	EventType,
	Mixin,
	ServiceThis,
} from "../lib/contracts/contract.ts";
import {
	type Event,
	type EventOf,
	type Matching,
	matches,
	type Pattern,
} from "../lib/contracts/event.ts";
import { addProbe } from "../lib/health/probes.ts";
import { type ConsumerGroup, inProcessTransport } from "../lib/messaging/event-transport.ts";
import { createInbox } from "../lib/messaging/inbox.ts";
import { type EventStream, sharedJetStream } from "../lib/messaging/jetstream.ts";
import { assertSendable } from "../lib/messaging/message-size.ts";
import { orderedGroups } from "../lib/messaging/ordered-groups.ts";
import { insertEvents, type Relay, startRelay } from "../lib/messaging/outbox.ts";
import { STREAM_READER } from "../lib/messaging/outbox-checkpoints.ts";
import type { Acknowledged, Destination } from "../lib/messaging/outbox-destination.ts";
import { tracingOf } from "../lib/observability/tracing/tracing.ts";
import type { Tx } from "../lib/persistence/database.ts";
import { envOf } from "../lib/settings/env.ts";
import type { HasDatabase } from "./database.mixin.ts";
import { eventHandlers } from "./durable-events/actions.ts";
import { consumedBy, counting } from "./durable-events/metrics.ts";
import { type Refilling, refilling } from "./durable-events/refill.ts";
import { pruning } from "./durable-events/retention.ts";
import { type EventTraces, eventTraces } from "./durable-events/traces.ts";

/**
 * Handlers by what they want to hear. They run in the transaction that notes the events as received, and in the events' trace. Events of several traces
 * may come at once; then a handler passes on which is whose.
 */
export type Subscriptions<M = unknown> = {
	[P in Pattern]?: (this: ServiceThis & M, tx: Tx, events: EventOf<Matching<P>>[]) => Promise<void>;
};

export interface HasDurableEvents {
	/**
	 * Writes a fact into the outbox, in the caller's transaction: after the change that it tells of, which is what keeps facts in order. It belongs to the
	 * trace that is worked on, unless another one is given.
	 */
	publish<E extends EventType>(
		tx: Tx,
		type: E,
		subject: string,
		data: EventData<E>,
		traceparent?: string,
	): Promise<void>;
	/** A fact's data, checked, as the JSON text that a set-based statement writes into the outbox by itself; call `wakeRelay` after it. */
	eventData<E extends EventType>(type: E, data: EventData<E>): string;
	/** Facts were committed. */
	wakeRelay(): void;
}
interface Self extends ServiceThis, HasDatabase, HasDurableEvents {
	$checks: Map<string, (data: object) => true | object[]>;
	$readers: Set<Relay>;
	/** What must end before the database closes. */
	$ends: (() => Promise<void>)[];
	$closing: boolean;
	/** What carries events between nodes; without it they stay in this process. */
	$stream: EventStream | undefined;
	/** Refills this service's consumers when the stream has discarded what they had not read. */
	$refilling: Refilling | undefined;
	$traces: EventTraces;
	/** Lets go of the stream, where there is one. */
	$release(): Promise<void>;
}

const RETRY_EVERY = 500;

/**
 * A service's events, both ways, on the database of the `database` mixin: what it publishes goes through its outbox, what it subscribes to
 * comes through its inbox.
 */
export function durableEvents<M>(
	contract: Contract,
	subscriptions: Subscriptions<M & HasDatabase> = {},
): Mixin<HasDurableEvents> {
	const types = Object.keys(contract.events ?? {});
	const patterns = Object.keys(subscriptions);
	return {
		// So that others can tell what a group is to hear again.
		metadata: { subscriptions: patterns },
		actions: eventHandlers(types, patterns),
		methods: {
			fact(this: Self, type: string, data: object): string {
				const verdict = this.$checks.get(type)?.(data);
				if (verdict !== true)
					throw new Error(
						`${type} does not keep to its contract: ${JSON.stringify(verdict ?? "not declared")}`,
					);
				const json = JSON.stringify(data);
				assertSendable(type, Buffer.byteLength(json));
				return json;
			},
			async publish(
				this: Self,
				tx: Tx,
				type: EventType,
				subject: string,
				data: EventData<EventType>,
				traceparent?: string,
			) {
				await insertEvents(
					tx,
					type,
					subject,
					this.eventData(type, data),
					traceparent ?? currentTraceparent(),
				);
				tx.handle.afterCommit(() => this.wakeRelay());
			},
			wakeRelay(this: Self) {
				for (const reader of this.$readers) reader.wake();
			},
		},
		created(this: Self) {
			const validator = this.broker.validator as unknown as {
				compile(shape: object): (data: object) => true | object[];
			};
			this.$checks = new Map(
				types.map((type) => [
					type,
					validator.compile({ $$strict: true, ...contract.events![type] }),
				]),
			);
			this.$readers = new Set();
			this.$ends = [];
			this.$closing = false;
			this.$release = async () => undefined;
		},
		async started(this: Self) {
			const { broker } = this;
			const carrier = await carrierOf(this);
			this.$stream = carrier;
			this.$traces = eventTraces(tracingOf(broker)?.of(this.name), carrier ? "nats" : "process");
			const open = () => {
				if (types.length > 0) this.$ends.push(offer(this, carrier, types));
				if (patterns.length > 0) this.$ends.push(...receive(this, carrier, subscriptions));
				this.$ends.push(pruning(this, patterns, carrier !== undefined));
			};
			// A handler may need any service of this process, so events begin to flow when all of them are there.
			if (broker.started) return open();
			broker.localBus.once("$broker.started", open);
			this.$ends.push(async () => void broker.localBus.off("$broker.started", open));
		},
		async stopped(this: Self) {
			this.$closing = true;
			await Promise.all(this.$ends.map((end) => end()));
			await this.$release();
		},
	};
}

const isClosing = ({ broker, $closing }: Self): boolean => $closing || broker.stopping;

/** JetStream where the cluster has NATS, else this process by itself. */
async function carrierOf(self: Self): Promise<EventStream | undefined> {
	const { broker, logger } = self;
	const {
		TRANSPORTER,
		NAMESPACE,
		EVENT_REPLICAS,
		EVENT_RETENTION_HOURS,
		EVENT_STREAM_MB,
		EVENT_ACK_WAIT_MS,
	} = envOf(broker);
	if (!TRANSPORTER) return undefined;
	const { stream, release } = await sharedJetStream(broker, {
		servers: TRANSPORTER,
		namespace: NAMESPACE,
		replicas: EVENT_REPLICAS,
		retentionHours: EVENT_RETENTION_HOURS,
		maxBytes: Math.floor(EVENT_STREAM_MB * 2 ** 20),
		ackWait: EVENT_ACK_WAIT_MS,
		name: `${broker.nodeID}-events`,
		onSmaller: (maxBytes) =>
			logger.warn(
				"NATS has no room for EVENT_STREAM_MB, so the stream of events is smaller, or has no limit (-1)",
				{ maxBytes },
			),
		onTrouble: (consumer, error) =>
			logger.warn("A consumer lost its stream and looks for it again", { consumer, error }),
	});
	self.$release = release;
	addProbe(self, "nats", () => stream.ping());
	return stream;
}

/** Lets others hear what is in the outbox; answers how that ends. */
function offer(
	self: Self,
	stream: EventStream | undefined,
	types: readonly string[],
): () => Promise<void> {
	const { broker, db, logger, name } = self;
	const read = (
		reader: string,
		wanted: readonly string[],
		deliver: (found: Event[]) => Promise<Acknowledged | undefined>,
		destination?: Destination,
	): Relay => {
		const following = startRelay({
			db,
			name: reader,
			owner: broker.nodeID,
			source: `/${name}`,
			types: wanted,
			...(destination ? { destination } : {}),
			deliver: self.$traces.sending(counting(self, deliver)),
			onError: (error) => {
				if (!isClosing(self))
					logger.warn("Events could not be handed over and will be again", { to: reader, error });
			},
		});
		self.$readers.add(following);
		return {
			...following,
			async stop() {
				await following.stop();
				self.$readers.delete(following);
			},
		};
	};
	if (stream) {
		const relay = read(STREAM_READER, types, (found) => stream.publish(found), stream);
		const end = stream.onReconnect(relay.recheck);
		return async () => {
			end();
			await relay.stop();
		};
	}
	const attach = ({ name: group, patterns, deliver }: ConsumerGroup) =>
		read(
			group,
			types.filter((type) => patterns.some((pattern) => matches(pattern, type))),
			(found) => deliver(found).then(() => undefined),
		);
	return inProcessTransport(broker).offer({ types, attach });
}

/** Takes over what others tell, and tries again what failed; answers how each of these ends. */
function receive(
	self: Self,
	stream: EventStream | undefined,
	subscriptions: object,
): (() => Promise<void>)[] {
	const { broker, db, logger, name } = self;
	const patterns = Object.keys(subscriptions);
	const consumed = consumedBy(self);
	const { accept, bury, retry } = createInbox({
		db,
		group: name,
		backoff: envOf(broker).EVENT_BACKOFF.split(",").map(Number),
		async handle(tx, found) {
			await dispatch(self, subscriptions, tx, found);
			// A handler may have written facts of its own.
			tx.handle.afterCommit(() => {
				self.wakeRelay();
				consumed.done.add(found.length);
			});
		},
		onFailure(error, { id, type }, dead) {
			const failed = { id, type, error };
			consumed[dead ? "dead" : "failed"].add();
			if (dead) logger.error("An event became a dead letter", failed);
			else logger.warn("An event's handler failed and will be tried again", failed);
		},
		closing: () => isClosing(self),
	});
	const retrying = startPoller({
		intervalMs: RETRY_EVERY,
		poll: retry,
		onError: (error) => logger.warn("Events due for another try could not be read", { error }),
	});
	const refill = stream && refilling(self, stream, patterns, accept);
	self.$refilling = refill;
	const carried = refill
		? [
				...patterns.map((pattern) => stream.follow(name, pattern, accept, bury, refill.track).stop),
				refill.stop,
			]
		: [inProcessTransport(broker).join({ name, patterns, deliver: accept })];
	return [...carried, retrying.stop];
}

type Handler = (tx: Tx, events: Event[]) => Promise<void>;
/**
 * Hands a batch to the handlers, each type to the most exact pattern, in as few calls as keep the events of one subject in their order.
 */
async function dispatch(self: Self, subscriptions: object, tx: Tx, found: Event[]): Promise<void> {
	const handlers = Object.entries(subscriptions) as [string, Handler][];
	handlers.sort(([a], [b]) => Number(a.endsWith("*")) - Number(b.endsWith("*")));
	const handlerOf = ({ type }: Event) => handlers.find(([pattern]) => matches(pattern, type))?.[1];
	for (const { key: handler, members } of orderedGroups(found, handlerOf))
		await self.$traces.handling(members, (events) => handler.call(self, tx, events));
}
