import { addProbe } from "../../lib/health/probes.ts";
import { acquireJetStream, type EventStream } from "../../lib/messaging/jetstream.ts";
import { envOf } from "../../lib/settings/env.ts";
import type { Self } from "./self.ts";

/**
 * Opens the JetStream transport. Returns undefined without NATS: events then stay in the process.
 */
export async function openTransport(self: Self): Promise<EventStream | undefined> {
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
	const { stream, release } = await acquireJetStream(broker, {
		servers: TRANSPORTER,
		namespace: NAMESPACE,
		replicas: EVENT_REPLICAS,
		retentionHours: EVENT_RETENTION_HOURS,
		maxBytes: Math.floor(EVENT_STREAM_MB * 2 ** 20),
		ackWait: EVENT_ACK_WAIT_MS,
		name: `${broker.nodeID}-events`,
		onReducedSize: (maxBytes) =>
			logger.warn("NATS cannot reserve EVENT_STREAM_MB: the stream is smaller or unlimited (-1)", {
				maxBytes,
			}),
		onError: (consumer, error) =>
			logger.warn("A consumer lost its stream and reconnects", { consumer, error }),
	});
	self.$releaseStream = release;
	addProbe(self, "nats", () => stream.ping());
	return stream;
}
