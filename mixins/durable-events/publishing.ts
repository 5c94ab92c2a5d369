import { type Event, matches } from "../../lib/contracts/event.ts";
import { type ConsumerGroup, inProcessTransport } from "../../lib/messaging/event-transport.ts";
import { STREAM_CHECKPOINT } from "../../lib/messaging/outbox-checkpoints.ts";
import type { Acknowledged } from "../../lib/messaging/outbox-destination.ts";
import { type Relay, type RelayOptions, startRelay } from "../../lib/messaging/relay.ts";
import { countPublished } from "./metrics.ts";
import { isClosing, type Self } from "./self.ts";

/**
 * Publishes the events of the service's outbox: to the stream, or without one to each consumer
 * group of this process.
 *
 * @returns a function that stops it
 */
export function startPublishing(self: Self): () => Promise<void> {
	const { broker, $stream: stream, $types: types } = self;
	if (stream) {
		const relay = openRelay(self, STREAM_CHECKPOINT, (events) => stream.publish(events), {
			destination: stream,
		});
		const removeListener = stream.onReconnect(relay.recheck);
		return async () => {
			removeListener();
			await relay.stop();
		};
	}
	const attach = ({ name: group, patterns, deliver }: ConsumerGroup) =>
		openRelay(self, group, (events) => deliver(events).then(() => undefined), {
			types: types.filter((type) => patterns.some((pattern) => matches(pattern, type))),
		});
	return inProcessTransport(broker).offer({ types: [...types], attach });
}

function openRelay(
	self: Self,
	checkpoint: string,
	deliver: (events: Event[]) => Promise<Acknowledged | undefined>,
	scope: Pick<RelayOptions, "types" | "destination">,
): Relay {
	const { broker, db, logger, name } = self;
	const relay = startRelay({
		db,
		name: checkpoint,
		owner: broker.nodeID,
		source: `/${name}`,
		...scope,
		deliver: self.$traces.sending(countPublished(self, deliver)),
		onError: (error) => {
			if (!isClosing(self))
				logger.warn("Events could not be published; will retry", { to: checkpoint, error });
		},
	});
	self.$relays.add(relay);
	return {
		...relay,
		async stop() {
			await relay.stop();
			self.$relays.delete(relay);
		},
	};
}
