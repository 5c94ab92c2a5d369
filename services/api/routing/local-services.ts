import type { ServiceBroker } from "moleculer";

/**
 * Waits until the other services of this node have started, so that none of their routes is
 * missing.
 */
export function localServicesStarted(broker: ServiceBroker): Promise<void> {
	return new Promise((resolve) => {
		const check = () => {
			const started = broker.services.every(
				({ name, fullName }) =>
					name === "api" || broker.registry.hasService(fullName, broker.nodeID),
			);
			if (!started) return;
			broker.localBus.off("$services.changed", check);
			resolve();
		};
		broker.localBus.on("$services.changed", check);
		check();
	});
}
