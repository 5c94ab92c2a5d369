import { expect, test } from "@jest/globals";
import type { ProblemError } from "../../clients/typescript/src/index.ts";
import {
	type Customer,
	cancelOrder,
	makeProduct,
	orderRequest,
	register,
	untilSettled,
} from "../support/builders.ts";
import { clientOf, problemOf } from "../support/client.ts";
import { eventually } from "../support/eventually.ts";
import { type AnyShop, useShop } from "./shape.ts";

type Ordering = Pick<AnyShop, "call" | "http" | "stop">;

export function orders(open: () => Promise<Ordering>): void {
	let shop: Ordering;
	let admin: Customer;
	useShop(open, (...started) => {
		[shop, admin] = started;
	});

	const templates = async (customer: Customer) => {
		const messages = await clientOf(shop, customer).notifications.list();
		return messages.map(({ template }) => template).sort();
	};
	const stockOf = (product_id: string) => clientOf(shop).inventory.get({ product_id });
	const place = async (customer: Customer, product: { id: string }, overrides: object = {}) =>
		(await respond(customer, product, overrides)).value;
	const respond = (customer: Customer, product: { id: string }, overrides: object = {}) =>
		untilSettled((idempotencyKey) =>
			clientOf(shop, customer)
				.orders.create({ ...orderRequest(product), ...overrides }, { idempotencyKey })
				.withResponse(),
		);

	test("a customer registers, orders and receives a message about every status", async () => {
		const customer = await register(shop);
		const product = await makeProduct(shop, admin, { price: 19.99, stock: 5 });
		const { orders, payments } = clientOf(shop, customer);
		const items = [{ product_id: product.id, quantity: 2 }];
		const placed = await respond(customer, product, { items });
		expect(placed.status).toBe(201);
		expect(placed.value).toMatchObject({
			status: "confirmed",
			total_amount: 39.98,
			user_id: customer.id,
		});
		const { id } = placed.value;
		expect(placed.headers.get("location")).toBe(`/api/orders/${id}`);
		expect(await stockOf(product.id)).toEqual({
			product_id: product.id,
			on_hand: 5,
			reserved: 2,
			available: 3,
		});

		expect((await problemOf(orders.ship({ id }))).status).toBe(403);
		expect((await clientOf(shop, admin).orders.ship({ id })).status).toBe("shipped");
		await eventually(async () =>
			expect(await stockOf(product.id)).toMatchObject({ on_hand: 3, reserved: 0 }),
		);
		expect((await clientOf(shop, admin).orders.deliver({ id })).status).toBe("delivered");
		await eventually(async () =>
			expect(await templates(customer)).toEqual([
				"order_confirmed",
				"order_delivered",
				"order_shipped",
				"welcome",
			]),
		);
		const [payment] = await payments.list({ order_id: id });
		expect(payment).toMatchObject({ status: "captured", amount: 39.98 });
	});

	test("an order keeps its products after they were removed from the catalogue", async () => {
		const customer = await register(shop);
		const product = await makeProduct(shop, admin, { stock: 1 });
		const { id } = await place(customer, product);
		await clientOf(shop, admin).products.remove({ id: product.id });
		const { items } = await clientOf(shop, customer).orders.get({ id });
		expect(items).toMatchObject([{ product: { id: product.id, name: product.name } }]);
		expect((await problemOf(place(customer, product))).code).toBe("PRODUCT_NOT_FOUND");
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
		const { orders, payments } = clientOf(shop, customer);
		const order = await place(customer, product, { items });
		expect(order).toMatchObject({ status: "confirmed", total_amount: total, currency });
		expect(order.items).toMatchObject([{ unit_price: price, line_total: total }]);
		const read = await orders.get({ id: order.id });
		expect(read).toMatchObject({ total_amount: total, items: order.items });

		const paymentOf = async () => (await payments.list({ order_id: order.id }))[0]!;
		const { id, amount, status } = await paymentOf();
		expect({ amount, status }).toEqual({ amount: total, status: "captured" });
		const refund = (part: { amount?: number }) =>
			clientOf(shop, admin).payments.refund({ id, ...part });
		expect(await problemOf(refund({ amount: tooFine }))).toMatchObject({
			status: 422,
			errors: [{ field: "amount", code: "MONEY" }],
		});
		expect(await refund({ amount: part })).toMatchObject({
			status: "partially_refunded",
			refunded_amount: part,
		});
		expect(await refund({})).toMatchObject({ status: "refunded", refunded_amount: total });
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

	test("of 50 concurrent orders for 20 items 20 are confirmed and 30 out of stock", async () => {
		const customer = await register(shop);
		const product = await makeProduct(shop, admin, { stock: 20 });
		const buy = () =>
			respond(customer, product).then(
				({ status, value }) => `${status} ${value.status}`,
				(error: ProblemError) => `${error.status} ${error.code}`,
			);
		const outcomes = await Promise.all(Array.from({ length: 50 }, buy));
		expect(outcomes.filter((outcome) => outcome === "201 confirmed")).toHaveLength(20);
		expect(outcomes.filter((outcome) => outcome === "409 OUT_OF_STOCK")).toHaveLength(30);
		expect(await stockOf(product.id)).toMatchObject({ on_hand: 20, reserved: 20, available: 0 });
	});

	test("a declined payment or undeliverable address releases stock and refunds", async () => {
		const customer = await register(shop);
		const product = await makeProduct(shop, admin, { stock: 3 });
		const { orders, payments } = clientOf(shop, customer);
		const fail = (overrides: object) => problemOf(place(customer, product, overrides));
		const declined = await fail({ payment_token: "tok_declined" });
		expect([declined.status, declined.code]).toEqual([402, "PAYMENT_DECLINED"]);
		const undeliverable = await fail({ shipping_address: "Undeliverable 1" });
		expect([undeliverable.status, undeliverable.code]).toEqual([409, "UNDELIVERABLE"]);
		expect(await stockOf(product.id)).toMatchObject({ reserved: 0, available: 3 });
		for (const { code, data } of [declined, undeliverable]) {
			const order = await orders.get({ id: data.order_id as string });
			expect(order).toMatchObject({ status: "cancelled", cancellation_reason: code });
		}
		const [refunded] = await payments.list({ order_id: undeliverable.data.order_id as string });
		expect(refunded).toMatchObject({ status: "refunded" });
	});

	test("a cancelled order is refunded, its stock is released and a message is sent", async () => {
		const customer = await register(shop);
		const product = await makeProduct(shop, admin, { stock: 1 });
		const client = clientOf(shop, customer);
		const { id } = await place(customer, product);
		const cancelled = await cancelOrder(client, { id, reason: "Too slow" });
		expect(cancelled).toMatchObject({ status: "cancelled", cancellation_reason: "Too slow" });
		expect(await stockOf(product.id)).toMatchObject({ reserved: 0, available: 1 });
		const again = await problemOf(client.orders.cancel({ id }));
		expect([again.status, again.code]).toEqual([409, "ILLEGAL_TRANSITION"]);
		await eventually(async () => expect(await templates(customer)).toContain("order_cancelled"));
	});

	test.each([
		["tok_flaky", "fails twice, then succeeds"],
		["tok_slow", "is slow"],
		["tok_timeout", "charges without responding"],
	])("a payment with %s, which %s, is charged once", async (payment_token) => {
		const customer = await register(shop);
		const product = await makeProduct(shop, admin, { stock: 1 });
		const { orders, payments } = clientOf(shop, customer);
		const { id } = await place(customer, product, { payment_token });
		await eventually(async () => expect((await orders.get({ id })).status).toBe("confirmed"));
		const charged = await payments.list({ order_id: id });
		expect(charged).toMatchObject([{ status: "captured" }]);
	});
}
