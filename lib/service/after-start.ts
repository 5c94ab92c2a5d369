import type { ServiceBroker } from "moleculer";

/**
 * Runs `work` when all services of this process have started, so that it can call any of them.
 * @returns a function that prevents it, for a service that stops before
 */
export function afterStart(broker: ServiceBroker, work: () => void): () => void {
	if (broker.started) {
		work();
		return () => undefined;
	}
	broker.localBus.once("$broker.started", work);
	return () => void broker.localBus.off("$broker.started", work);
}
