import { afterAll, beforeAll, expect, test } from "@jest/globals";
import {
	type Customer,
	makeAdmin,
	makeProduct,
	placeOrder,
	register,
} from "../support/builders.ts";
import { eventually } from "../support/eventually.ts";
import { type AnyShop, START_MS } from "./shape.ts";

type Ordering = Pick<AnyShop, "call" | "http" | "stop">;

export function orders(open: () => Promise<Ordering>): void {
	let shop: Ordering;
	let admin: Customer;
	beforeAll(async () => {
		shop = await open();
		admin = await makeAdmin(shop);
	}, START_MS);
	afterAll(() => shop?.stop(), START_MS);

	const templates = async (customer: Customer) => {
		const { body } = await shop.http("GET /api/notifications", { token: customer.token });
		return body.map(({ template }: { template: string }) => template).sort();
	};
	const stockOf = async (product_id: string) =>
		(await shop.http(`GET /api/inventory/${product_id}`)).body;

	test("a customer registers, orders and receives a message about every status", async () => {
		const customer = await register(shop);
		const product = await makeProduct(shop, admin, { price: 19.99, stock: 5 });
		const placed = await shop.http("POST /api/orders", {
			token: customer.token,
			body: { items: [{ product_id: product.id, quantity: 2 }] },
		});
		expect(placed.status).toBe(201);
		expect(placed.body).toMatchObject({
			status: "confirmed",
			total_amount: 39.98,
			user_id: customer.id,
		});
		expect(placed.headers.get("location")).toBe(`/api/orders/${placed.body.id}`);
		expect(await stockOf(product.id)).toEqual({
			product_id: product.id,
			on_hand: 5,
			reserved: 2,
			available: 3,
		});

		const order = `/api/orders/${placed.body.id}`;
		expect((await shop.http(`POST ${order}/ship`, { token: customer.token })).status).toBe(403);
		expect((await shop.http(`POST ${order}/ship`, { token: admin.token })).body.status).toBe(
			"shipped",
		);
		await eventually(async () =>
			expect(await stockOf(product.id)).toMatchObject({ on_hand: 3, reserved: 0 }),
		);
		expect((await shop.http(`POST ${order}/deliver`, { token: admin.token })).body.status).toBe(
			"delivered",
		);
		await eventually(async () =>
			expect(await templates(customer)).toEqual([
				"order_confirmed",
				"order_delivered",
				"order_shipped",
				"welcome",
			]),
		);
		const [payment] = (
			await shop.http(`GET /api/payments?order_id=${placed.body.id}`, { token: customer.token })
		).body;
		expect(payment).toMatchObject({ status: "captured", amount: 39.98 });
	});

	test.each([
		{ currency: "JPY", price: 1980, total: 5940, part: 1980, rest: 3960, tooFine: 0.5 },
		{ currency: "BHD", price: 1.235, total: 3.705, part: 0.001, rest: 3.704, tooFine: 0.0005 },
	])("an order in $currency is exact from the price to the last refund", async (money) => {
		const { currency, price, total, part, rest, tooFine } = money;
		const customer = await register(shop);
		const product = await makeProduct(shop, admin, { currency, price });
		expect(product).toMatchObject({ currency, price });
		const items = [{ product_id: product.id, quantity: 3 }];
		const { body: order } = await placeOrder(shop, customer, product, { items });
		expect(order).toMatchObject({ status: "confirmed", total_amount: total, currency });
		expect(order.items).toMatchObject([{ unit_price: price, line_total: total }]);
		const read = await shop.http(`GET /api/orders/${order.id}`, { token: customer.token });
		expect(read.body).toMatchObject({ total_amount: total, items: order.items });

		const paymentOf = async () =>
			(await shop.http(`GET /api/payments?order_id=${order.id}`, { token: customer.token }))
				.body[0];
		const { id, amount, status } = await paymentOf();
		expect({ amount, status }).toEqual({ amount: total, status: "captured" });
		const refund = (body: object) =>
			shop.http(`POST /api/payments/${id}/refunds`, { token: admin.token, body });
		expect(await refund({ amount: tooFine })).toMatchObject({
			status: 422,
			body: { errors: [{ field: "amount", code: "MONEY" }] },
		});
		expect((await refund({ amount: part })).body).toMatchObject({
			status: "partially_refunded",
			refunded_amount: part,
		});
		expect((await refund({})).body).toMatchObject({ status: "refunded", refunded_amount: total });
		expect((await paymentOf()).refunds).toMatchObject([{ amount: part }, { amount: rest }]);
		const ledger = await shop.call("payments.auditCharges", {
			after: `${order.id.slice(0, 24)}000000000000`,
			upto: order.id,
			limit: 1000,
		});
		expect(ledger.find(({ key }) => key === order.id)).toMatchObject({
			charged: total,
			refunded: total,
		});
	});

	test("of 50 concurrent orders for 20 items 20 are confirmed and 30 fail with OUT_OF_STOCK", async () => {
		const customer = await register(shop);
		const product = await makeProduct(shop, admin, { stock: 20 });
		const buy = () => placeOrder(shop, customer, product);
		const responses = await Promise.all(Array.from({ length: 50 }, buy));
		const outcomes = responses.map(({ status, body }) => `${status} ${body.code ?? body.status}`);
		expect(outcomes.filter((outcome) => outcome === "201 confirmed")).toHaveLength(20);
		expect(outcomes.filter((outcome) => outcome === "409 OUT_OF_STOCK")).toHaveLength(30);
		expect(await stockOf(product.id)).toMatchObject({ on_hand: 20, reserved: 20, available: 0 });
	});

	test("a declined payment and an undeliverable address release stock and refund the payment", async () => {
		const customer = await register(shop);
		const product = await makeProduct(shop, admin, { stock: 3 });
		const place = (overrides: object) => placeOrder(shop, customer, product, overrides);
		const declined = await place({ payment_token: "tok_declined" });
		expect([declined.status, declined.body.code]).toEqual([402, "PAYMENT_DECLINED"]);
		const undeliverable = await place({ shipping_address: "Undeliverable 1" });
		expect([undeliverable.status, undeliverable.body.code]).toEqual([409, "UNDELIVERABLE"]);
		expect(await stockOf(product.id)).toMatchObject({ reserved: 0, available: 3 });
		for (const { body } of [declined, undeliverable]) {
			const { body: order } = await shop.http(`GET /api/orders/${body.order_id}`, {
				token: customer.token,
			});
			expect(order).toMatchObject({ status: "cancelled", cancellation_reason: body.code });
		}
		const [refunded] = (
			await shop.http(`GET /api/payments?order_id=${undeliverable.body.order_id}`, {
				token: customer.token,
			})
		).body;
		expect(refunded).toMatchObject({ status: "refunded" });
	});

	test("a cancelled order is refunded, its stock is released and a message is sent", async () => {
		const customer = await register(shop);
		const product = await makeProduct(shop, admin, { stock: 1 });
		const { body: order } = await placeOrder(shop, customer, product);
		const cancelled = await shop.http(`POST /api/orders/${order.id}/cancel`, {
			token: customer.token,
			body: { reason: "Too slow" },
		});
		expect(cancelled.body).toMatchObject({ status: "cancelled", cancellation_reason: "Too slow" });
		expect(await stockOf(product.id)).toMatchObject({ reserved: 0, available: 1 });
		const again = await shop.http(`POST /api/orders/${order.id}/cancel`, { token: customer.token });
		expect([again.status, again.body.code]).toEqual([409, "ILLEGAL_TRANSITION"]);
		await eventually(async () => expect(await templates(customer)).toContain("order_cancelled"));
	});

	test.each([
		["tok_flaky", "fails twice, then succeeds"],
		["tok_slow", "is slow"],
		["tok_timeout", "charges without responding"],
	])("a payment with %s, which %s, is charged once", async (payment_token) => {
		const customer = await register(shop);
		const product = await makeProduct(shop, admin, { stock: 1 });
		const { body } = await placeOrder(shop, customer, product, { payment_token });
		await eventually(async () =>
			expect(
				(await shop.http(`GET /api/orders/${body.id}`, { token: customer.token })).body.status,
			).toBe("confirmed"),
		);
		const charged = await shop.http(`GET /api/payments?order_id=${body.id}`, {
			token: customer.token,
		});
		expect(charged.body).toMatchObject([{ status: "captured" }]);
	});
}
