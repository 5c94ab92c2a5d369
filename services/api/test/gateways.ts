import { afterEach } from "@jest/globals";
import { type Shop, startShop } from "../../../test/support/shop.ts";

/** Health of a service without nodes, and with one. */
export const down = { status: "down", nodes: 0 };
export const up = { status: "up", nodes: 1 };

/** Registers a hook that stops the shops, and other processes, of each test. */
export function gateways() {
	const running: { stop(): Promise<unknown> }[] = [];
	afterEach(async () => {
		await Promise.all(running.splice(0).map((one) => one.stop()));
	});
	return {
		/** Stopped after the current test. */
		running,
		/** Starts a gateway, with the other services of the options. */
		async start(options: Parameters<typeof startShop>[0]): Promise<Shop> {
			const shop = await startShop({ services: ["api"], ...options });
			running.push(shop);
			return shop;
		},
	};
}
