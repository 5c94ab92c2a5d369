import { afterAll, beforeAll, beforeEach } from "@jest/globals";
import { v7 as uuid } from "uuid";
import { customer, StubbedSteps, startOrderShop } from "../../../test/support/order-shop.ts";
import type { Shop } from "../../../test/support/shop.ts";

export const as = (user: object) => ({ meta: { user } });
export const item = (quantity = 1) => ({ product_id: uuid(), quantity });

/**
 * Registers hooks that start orders with stubbed steps, which succeed unless a test changes them.
 */
export function stubbedOrderShop() {
	let shop: Shop;
	const steps = new StubbedSteps();
	beforeAll(async () => {
		shop = await startOrderShop(steps);
	});
	afterAll(() => shop?.stop());
	beforeEach(() => steps.reset());
	return {
		get shop() {
			return shop;
		},
		steps,
		/** Places an order of two pieces as the customer. */
		place: (overrides: object = {}) =>
			shop.call("orders.create", { items: [item(2)], ...overrides }, as(customer)),
	};
}
