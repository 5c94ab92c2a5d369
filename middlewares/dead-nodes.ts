import type { Middleware, ServiceBroker } from "moleculer";

const INTERVAL_MS = 500;

/**
 * Checks for dead nodes every 500 ms. Moleculer checks once per `heartbeatTimeout`, so it may call
 * a dead node for up to twice that time. Skips one check after the local event loop stalled,
 * because this node may have missed heartbeats. Private API of Moleculer, used only here:
 * `discoverer.checkRemoteNodes`.
 */
export function disconnectDeadNodes(broker: ServiceBroker): Middleware {
	let timer: NodeJS.Timeout | undefined;
	let checkedAt = 0;
	const { discoverer } = broker.registry as unknown as { discoverer: { checkRemoteNodes(): void } };
	const check = () => {
		const stalled = performance.now() - checkedAt > 2 * INTERVAL_MS;
		checkedAt = performance.now();
		if (!stalled) discoverer.checkRemoteNodes();
	};
	return {
		name: "LostNodes",
		started() {
			checkedAt = performance.now();
			timer = setInterval(check, INTERVAL_MS).unref();
		},
		stopping() {
			clearInterval(timer);
		},
	} as unknown as Middleware;
}
