import type { Middleware } from "moleculer";
import type { Gateway } from "./exchange.ts";

/**
 * Closes the gateway before the services of its node stop: the broker stops all services at the
 * same time, and requests in flight still need them.
 */
export function closeBeforeServicesStop(gateway: Gateway): void {
	gateway.broker.middlewares.add({
		name: "Drain",
		stopping: () => closeGateway(gateway),
	} as Middleware);
}

/** Accepts no new connections, ends event streams and files, and completes all other requests. */
export async function closeGateway(gateway: Gateway): Promise<void> {
	const { listener, eventStreams, uploads, downloads, broker } = gateway;
	const closed = listener.close(broker.options.tracking?.shutdownTimeout ?? 5000);
	uploads.close();
	downloads.close();
	await eventStreams.close();
	await closed;
}
