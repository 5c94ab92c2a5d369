import type { Middleware, ServiceBroker } from "moleculer";

const EVERY_MS = 500;

/**
 * Looks often for nodes that died without a word. moleculer looks once in each `heartbeatTimeout`, so one that dies just after a look is called for up to
 * twice as long. Who was held up itself has heard nobody for a while, and looks again before it believes that all others are dead.
 */
export function disconnectDeadNodes(broker: ServiceBroker): Middleware {
	let timer: NodeJS.Timeout | undefined;
	let lookedAt = 0;
	const { discoverer } = broker.registry as unknown as { discoverer: { checkRemoteNodes(): void } };
	const look = () => {
		const late = performance.now() - lookedAt > 2 * EVERY_MS;
		lookedAt = performance.now();
		if (!late) discoverer.checkRemoteNodes();
	};
	return {
		name: "LostNodes",
		started() {
			lookedAt = performance.now();
			timer = setInterval(look, EVERY_MS).unref();
		},
		stopping() {
			clearInterval(timer);
		},
	} as unknown as Middleware;
}
