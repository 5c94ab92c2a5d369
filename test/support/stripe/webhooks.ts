import type { FaultPlans } from "./faults.ts";
import type { StripeEvent } from "./objects.ts";
import {
	type Attempt,
	endpointSender,
	type WebhookEndpoint,
	type WebhookOptions,
} from "./webhook-endpoint.ts";

/** Sends events to the endpoints, with faults, and retries until an endpoint responds with 2xx. */
export function webhookSender(options: WebhookOptions, faults: FaultPlans) {
	const senders = new Map<WebhookEndpoint, ReturnType<typeof endpointSender>>();
	const attempts: Attempt[] = [];
	const waiting: (() => void)[] = [];
	let paused = false;

	const isIdle = () => [...senders.values()].every((sender) => sender.isIdle());
	function onChange(): void {
		if (isIdle()) for (const resolve of waiting.splice(0)) resolve();
	}
	const endpointsFor = (type: string) =>
		[...senders.keys()].filter(({ types }) => types === undefined || types.includes(type));

	return {
		attempts,
		endpointsFor,
		add(endpoint: WebhookEndpoint): void {
			const context = { options, attempts, onChange, isPaused: () => paused };
			senders.set(endpoint, endpointSender(endpoint, context));
		},
		publish(event: StripeEvent): void {
			for (const endpoint of endpointsFor(event.type)) {
				const { fault, delayMs } = faults.forDelivery(event.type);
				const sender = senders.get(endpoint)!;
				const { url } = endpoint;
				if (fault === "drop")
					attempts.push({ event: event.id, type: event.type, url, result: "dropped" });
				else if (fault === "reorder") sender.hold(event);
				else sender.enqueue(event, delayMs);
				if (fault === "duplicate") sender.enqueue(event, 0);
			}
		},
		/** Sends an event again, without faults. */
		redeliver(event: StripeEvent): void {
			for (const endpoint of endpointsFor(event.type)) senders.get(endpoint)!.enqueue(event, 0);
		},
		pause(value: boolean): void {
			paused = value;
			if (!value) for (const sender of senders.values()) sender.run();
		},
		/** Waits until no delivery is pending. Never settles while deliveries are paused. */
		idle: () =>
			new Promise<void>((resolve) => {
				waiting.push(resolve);
				onChange();
			}),
		/** Discards all pending deliveries. */
		clear(): void {
			for (const sender of senders.values()) sender.clear();
			attempts.length = 0;
			onChange();
		},
	};
}
export type WebhookSender = ReturnType<typeof webhookSender>;
