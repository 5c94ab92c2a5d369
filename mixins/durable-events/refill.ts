import type { ServiceBroker } from "moleculer";
import { startPoller } from "../../lib/async/poller.ts";
import { type Event, matches } from "../../lib/contracts/event.ts";
import { registeredServices } from "../../lib/contracts/registered-services.ts";
import { hasUnknownEvents } from "../../lib/messaging/inbox.ts";
import type { EventStream } from "../../lib/messaging/jetstream.ts";
import { consumerName } from "../../lib/messaging/jetstream-consumer.ts";
import { type Source, streamRefill } from "../../lib/messaging/stream-refill.ts";
import type { ConsumerState } from "../../lib/messaging/stream-state.ts";
import type { Database } from "../../lib/persistence/database.ts";

interface Self {
	readonly name: string;
	readonly broker: ServiceBroker;
	readonly db: Database;
	readonly logger: {
		info(message: string, data?: object): void;
		warn(message: string, data?: object): void;
	};
}
export interface ConsumerRefill {
	track(state: ConsumerState): Promise<void>;
	/**
	 * The largest share of the stream's limits taken by messages that one of the service's consumers
	 * has not processed.
	 */
	unreadShare(states: readonly ConsumerState[]): Promise<number>;
	stop(): Promise<void>;
}

const BEGUN =
	"Events are read from the outboxes: the stream discarded them, or the database was restored";
/** Much less than the time in which the stream discards a message. */
const TRACK_INTERVAL_MS = 5000;
const REFILL_INTERVAL_MS = 1000;
/** Delay of a refill that another node has begun and left: `track` wakes the poller otherwise. */
const REFILL_IDLE_MS = 5000;

/**
 * Tracks the progress of a service's consumers in the stream, and refills them from the outboxes
 * after it has discarded unread messages, or after the service's database was restored.
 */
export function startRefill(
	{ name, broker, db, logger }: Self,
	stream: EventStream,
	patterns: readonly string[],
	accept: (events: Event[]) => Promise<void>,
): ConsumerRefill {
	const byConsumer = new Map(patterns.map((pattern) => [consumerName(name, pattern), pattern]));
	const refill = streamRefill({
		db,
		sourcesOf: (consumer) => sourcesOf(broker, byConsumer.get(consumer)!),
		read: ({ name: source, types }, after) =>
			broker.call<Event[], object>(`${source}.outboxEvents`, { after, types }),
		accept,
		async hasLostEvents(consumer, first, last) {
			for await (const events of stream.eventsBetween(byConsumer.get(consumer)!, first, last))
				if (await hasUnknownEvents(db, name, events)) return true;
			return false;
		},
		onProgress(consumer, progress) {
			if (progress === "begun") logger.warn(BEGUN, { consumer });
			else logger.info("The events were read from the outboxes", { consumer });
		},
	});
	const refillPoller = startPoller({
		intervalMs: REFILL_INTERVAL_MS,
		idleMs: REFILL_IDLE_MS,
		poll: () => refill.refillNext([...byConsumer.keys()]),
		onError: (error) =>
			logger.warn("Events could not be read from an outbox; will retry", {
				error,
			}),
	});
	const track = async (state: ConsumerState): Promise<void> => {
		if (await refill.track(state)) refillPoller.wake();
	};
	const trackPoller = startPoller({
		intervalMs: TRACK_INTERVAL_MS,
		async poll() {
			for (const state of await stream.states(name, patterns)) await track(state);
			return false;
		},
		onError: (error) =>
			logger.warn("The progress of consumers could not be read; will retry", {
				error,
			}),
	});
	return {
		track,
		async unreadShare(states) {
			const progress = await refill.progress([...byConsumer.keys()]);
			const shares = states.map((state) =>
				stream.unreadShare(state, progress.get(state.consumer) ?? 0),
			);
			return Math.max(0, ...(await Promise.all(shares)));
		},
		async stop() {
			await Promise.all([refillPoller.stop(), trackPoller.stop()]);
		},
	};
}

/**
 * The services in the registry that publish events of a pattern. Nodes of two versions of a service
 * declare different types.
 */
export function sourcesOf(broker: ServiceBroker, pattern: string): Source[] {
	const sources = new Map<string, Set<string>>();
	for (const { name, events } of registeredServices(broker)) {
		const types = Object.keys(events).filter((type) => matches(pattern, type));
		if (types.length > 0) sources.set(name, new Set([...(sources.get(name) ?? []), ...types]));
	}
	return [...sources].map(([name, types]) => ({ name, types: [...types] }));
}
