import { startPoller } from "../../lib/async/poller.ts";
import { type Event, matches } from "../../lib/contracts/event.ts";
import { inProcessTransport } from "../../lib/messaging/event-transport.ts";
import { createInbox } from "../../lib/messaging/inbox.ts";
import { orderedGroups } from "../../lib/messaging/ordered-groups.ts";
import type { Tx } from "../../lib/persistence/database.ts";
import { envOf } from "../../lib/settings/env.ts";
import { consumedCounters } from "./metrics.ts";
import { startRefill } from "./refill.ts";
import { isClosing, type Self } from "./self.ts";

const RETRY_INTERVAL_MS = 500;
/** Delay of retries that a dead node has left: each node wakes for the failures that it stores. */
const RETRY_IDLE_MS = 5000;

/**
 * Consumes the events that the service subscribes to, and retries failed ones.
 *
 * @returns functions that stop it
 */
export function startConsuming(self: Self): (() => Promise<void>)[] {
	const { broker, db, logger, name, $stream: stream, $patterns: patterns } = self;
	const consumed = consumedCounters(self);
	const { accept, storeInvalid, retry } = createInbox({
		db,
		group: name,
		patterns,
		backoff: envOf(broker).EVENT_BACKOFF.split(",").map(Number),
		async handle(tx, events) {
			await dispatch(self, tx, events);
			// A handler may have published events of its own.
			tx.handle.afterCommit(() => {
				self.wakeRelay();
				consumed.done.add(events.length);
			});
		},
		onFailure(error, { id, type }, isDead) {
			const failed = { id, type, error };
			consumed[isDead ? "dead" : "failed"].add();
			if (!isDead) self.$wakeRetries();
			if (isDead) logger.error("An event became a dead letter", failed);
			else logger.warn("An event handler failed; will retry", failed);
		},
		closing: () => isClosing(self),
	});
	const retries = startPoller({
		intervalMs: RETRY_INTERVAL_MS,
		idleMs: RETRY_IDLE_MS,
		poll: retry,
		onError: (error) => logger.warn("Due event retries could not be read", { error }),
	});
	self.$wakeRetries = retries.wake;
	if (!stream) {
		const leave = inProcessTransport(broker).join({
			name,
			patterns: [...patterns],
			deliver: accept,
		});
		return [leave, retries.stop];
	}
	const refill = startRefill(self, stream, patterns, accept);
	self.$refill = refill;
	const consumers = patterns.map((pattern) =>
		stream.follow(name, pattern, accept, storeInvalid, refill.track),
	);
	return [...consumers.map(({ stop }) => stop), refill.stop, retries.stop];
}

type Handler = (tx: Tx, events: Event[]) => Promise<void>;

/**
 * Calls the handlers of a batch. Each type goes to its most specific pattern, in the fewest calls
 * that keep the events of one subject in order.
 */
async function dispatch(self: Self, tx: Tx, events: Event[]): Promise<void> {
	const handlers = Object.entries(self.schema.subscriptions ?? {}) as unknown as [
		string,
		Handler,
	][];
	handlers.sort(([a], [b]) => Number(a.endsWith("*")) - Number(b.endsWith("*")));
	const handlerOf = ({ type }: Event) => handlers.find(([pattern]) => matches(pattern, type))?.[1];
	for (const { key: handler, members } of orderedGroups(events, handlerOf))
		await self.$traces.handling(members, (group) => handler.call(self, tx, group));
}
