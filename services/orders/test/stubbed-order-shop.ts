import { afterAll, beforeAll, beforeEach } from "@jest/globals";
import { v7 as uuid } from "uuid";
import { cacheOf } from "../../../lib/caching/lease-cache.ts";
import {
	customer,
	StubbedPrices,
	StubbedSteps,
	startOrderShop,
} from "../../../test/support/order-shop.ts";
import type { Shop } from "../../../test/support/shop.ts";
import type { PricedOrder } from "../orders.rules.ts";

export const as = (user: object) => ({ meta: { user } });
export const item = (quantity = 1) => ({ product_id: uuid(), quantity });
export const home = {
	name: "Jo",
	line1: "Main Street 1",
	postal_code: "10115",
	city: "Berlin",
	country: "DE",
};

/** The order of a guest's cart: two pieces at 19.99, less a coupon of 4, with shipping for 5. */
export const pricedOrder = (overrides: Partial<PricedOrder> = {}): PricedOrder => ({
	email: "guest@example.com",
	currency: "EUR",
	prices_include_tax: true,
	lines: [
		{
			product_id: uuid(),
			name: "Tea",
			quantity: 2,
			unit_price: 19.99,
			discount: 4,
			tax: 5.74,
			total: 35.98,
			tax_rate: { name: "VAT", rate: 0.19 },
		},
	],
	adjustments: [{ promotion_id: uuid(), name: "Summer", code: "SUMMER", amount: 4 }],
	shipping_method: { code: "standard", name: "Standard" },
	shipping_amount: 5,
	shipping_discount: 0,
	shipping_tax: 0.8,
	shipping_tax_rate: { name: "VAT", rate: 0.19 },
	taxes: [{ name: "VAT", rate: 0.19, amount: 6.54 }],
	subtotal: 39.98,
	discount_amount: 4,
	tax_amount: 6.54,
	total_amount: 40.98,
	shipping_address: home,
	billing_address: null,
	coupon_codes: ["SUMMER"],
	...overrides,
});

/**
 * Registers hooks that start orders with stubbed steps, which succeed unless a test changes them,
 * and without tax and promotions.
 */
export function stubbedOrderShop() {
	let shop: Shop;
	const steps = new StubbedSteps();
	const prices = new StubbedPrices();
	const invalidate = async (service: string) => {
		const rows = cacheOf(shop.broker).of(service, 1000);
		await rows.whileInvalidated([], async () => undefined);
	};
	/** Changes the results of tax and promotions, as their services do. */
	async function configure(change: Partial<StubbedPrices>): Promise<void> {
		prices.reset();
		Object.assign(prices, change);
		await Promise.all([invalidate("tax"), invalidate("promotions")]);
	}
	beforeAll(async () => {
		shop = await startOrderShop(steps, prices);
	});
	afterAll(() => shop?.stop());
	beforeEach(() => steps.reset());
	return {
		get shop() {
			return shop;
		},
		steps,
		configure,
		/** Places an order of two pieces as the customer. */
		place: (overrides: object = {}) =>
			shop.call("orders.create", { items: [item(2)], ...overrides }, as(customer)),
		/** Places the order of a guest's cart. */
		placePriced: (overrides: object = {}) =>
			shop.call("orders.place", {
				order_id: uuid(),
				user_id: null,
				payment_token: "tok_ok",
				priced: pricedOrder(),
				...overrides,
			}),
	};
}
