import { afterAll, beforeAll, expect, test } from "@jest/globals";
import type { EventType } from "../../lib/contracts/contract.ts";
import {
	cancelOrder,
	makeAdmin,
	makeProduct,
	placeOrder,
	register,
} from "../../test/support/builders.ts";
import { clientOf } from "../../test/support/client.ts";
import { type Shop, startShop } from "../../test/support/shop.ts";
import type { DurableEventsState } from "./self.ts";

let shop: Shop;
beforeAll(async () => {
	shop = await startShop();
});
afterAll(() => shop?.stop());

/** Records which relays of a service are woken. `of` finds those that publish a type. */
function recordWaking(service: string) {
	const { $relays } = shop.broker.getLocalService(service) as unknown as DurableEventsState;
	const woken = new Set<unknown>();
	for (const relay of $relays) {
		const { wake } = relay;
		relay.wake = () => {
			woken.add(relay);
			wake();
		};
	}
	return {
		of: (type: EventType) =>
			[...$relays].filter(({ publishes }) => publishes(type)).map((relay) => woken.has(relay)),
		reset: () => woken.clear(),
	};
}

test("an order wakes the relays of its events only", async () => {
	const admin = await makeAdmin(shop);
	const [buyer, product] = [await register(shop), await makeProduct(shop, admin)];
	const [orders, shipping] = [recordWaking("orders"), recordWaking("shipping")];

	const { body: order } = await placeOrder(shop, buyer, product);
	expect(order.status).toBe("confirmed");
	expect(orders.of("order.confirmed")).toContain(true);
	// The relay to inventory, which subscribes to shipped orders only, is not woken.
	expect(orders.of("order.shipped")).toContain(false);
	expect(shipping.of("shipment.dispatched")).toEqual([false]);

	orders.reset();
	await cancelOrder(clientOf(shop, buyer), { id: order.id });
	const cancelled = orders.of("order.cancelled");
	expect(cancelled.length).toBeGreaterThan(1);
	expect(new Set(cancelled)).toEqual(new Set([true]));
});
