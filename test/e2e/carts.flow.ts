import { randomBytes } from "node:crypto";
import { afterAll, beforeAll, expect, test } from "@jest/globals";
import { type Customer, makeAdmin, makeProduct, register } from "../support/builders.ts";
import { type AnyShop, START_MS } from "./shape.ts";

type Carts = Pick<AnyShop, "call" | "http" | "stop">;
const home = {
	name: "Jo",
	line1: "Main Street 1",
	postal_code: "10115",
	city: "Berlin",
	country: "DE",
};

export function carts(open: () => Promise<Carts>): void {
	let shop: Carts;
	let admin: Customer;
	beforeAll(async () => {
		shop = await open();
		admin = await makeAdmin(shop);
	}, START_MS);
	afterAll(() => shop?.stop(), START_MS);

	/** The cart of a guest with two pieces of a product at 10.00, and its header. */
	async function guestCart() {
		const { body: cart } = await shop.http("POST /api/carts", { body: {} });
		const headers = { "Cart-Token": cart.token as string };
		const path = `/api/carts/${cart.id}`;
		const product = await makeProduct(shop, admin, { stock: 5 });
		const line = `${path}/lines/${product.id}`;
		const { body } = await shop.http(`PUT ${line}`, { headers, body: { quantity: 2 } });
		expect(body).toMatchObject({ total_amount: 20, lines: [{ available: 5 }] });
		return { path, headers, product, line };
	}
	const get = async (path: string, options: object) =>
		(await shop.http(`GET ${path}`, options)).body;

	test("a guest orders with an address, a coupon and a key, and reads the order with its token", async () => {
		const { path, headers } = await guestCart();
		const code = `FLOW-${randomBytes(5).toString("hex")}`;
		await shop.http("POST /api/promotions", {
			token: admin.token,
			body: { name: "A tenth", code, effect: { type: "percent_off", value: 10 } },
		});
		const email = `${randomBytes(6).toString("hex")}@example.com`;
		const details = { email, shipping_address: home, coupon_codes: [code.toLowerCase()] };
		const changed = await shop.http(`PATCH ${path}`, { headers, body: details });
		expect(changed.body).toMatchObject({ total_amount: 18, problems: [], coupon_codes: [code] });

		const request = {
			headers: { ...headers, "Idempotency-Key": randomBytes(8).toString("hex") },
			body: { expected_total: 18 },
		};
		const placed = await shop.http(`POST ${path}/checkout`, request);
		expect(placed).toMatchObject({
			status: 201,
			body: {
				status: "confirmed",
				user_id: null,
				email,
				total_amount: 18,
				discount_amount: 2,
				coupon_codes: [code],
				shipping_address: home,
			},
		});
		const { order_token, ...order } = placed.body;
		expect((await shop.http(`POST ${path}/checkout`, request)).body).toEqual(placed.body);
		expect(await get(path, { headers })).toMatchObject({
			status: "completed",
			order_id: order.id,
			total_amount: 18,
		});
		expect(
			await get(`/api/orders/${order.id}`, { headers: { "Order-Token": order_token } }),
		).toMatchObject({ status: "confirmed", total_amount: 18 });
	});

	test("a user claims the cart of a guest, whose payment is declined first", async () => {
		const { path, headers } = await guestCart();
		const { token, id } = await register(shop);
		const claimed = await shop.http(`POST ${path}/claim`, { token, headers, body: {} });
		expect(claimed.body).toMatchObject({ user_id: id, total_amount: 20 });
		expect((await shop.http(`GET ${path}`, { headers })).status).toBe(404);

		const declined = await shop.http(`POST ${path}/checkout`, {
			token,
			body: { expected_total: 20, payment_token: "tok_declined" },
		});
		expect(declined.body).toMatchObject({ status: 402, code: "PAYMENT_DECLINED" });
		expect(await get(path, { token })).toMatchObject({
			status: "open",
			cancellation_reason: "PAYMENT_DECLINED",
			lines: [{ available: 5 }],
		});
		const placed = await shop.http(`POST ${path}/checkout`, {
			token,
			body: { expected_total: 20 },
		});
		expect(placed.body).toMatchObject({ status: "confirmed", user_id: id, total_amount: 20 });
		const again = await shop.http(`POST ${path}/checkout`, { token, body: { expected_total: 20 } });
		expect(again.body).toMatchObject({ code: "CART_COMPLETED", order_id: placed.body.id });
	});

	test("a price that has risen is refused with the new cart, and one that has fallen is charged", async () => {
		const { path, headers, product } = await guestCart();
		const details = { email: "guest@example.com" };
		await shop.http(`PATCH ${path}`, { headers, body: details });
		const setPrice = (price: number) =>
			shop.http(`PATCH /api/products/${product.id}`, { token: admin.token, body: { price } });
		await setPrice(11);
		const checkout = () =>
			shop.http(`POST ${path}/checkout`, { headers, body: { expected_total: 20 } });
		expect((await checkout()).body).toMatchObject({
			code: "PRICE_CHANGED",
			cart: {
				total_amount: 22,
				lines: [{ available: 5 }],
				changes: [{ product_id: product.id, from: 10, to: 11 }],
			},
		});
		await setPrice(9);
		expect((await checkout()).body).toMatchObject({ status: "confirmed", total_amount: 18 });
	});

	test("an order without enough stock opens the cart again", async () => {
		const { path, headers, line } = await guestCart();
		await shop.http(`PATCH ${path}`, { headers, body: { email: "guest@example.com" } });
		const { body } = await shop.http(`PUT ${line}`, { headers, body: { quantity: 6 } });
		expect(body.problems).toMatchObject([{ code: "OUT_OF_STOCK" }]);
		const refused = await shop.http(`POST ${path}/checkout`, {
			headers,
			body: { expected_total: 60 },
		});
		expect(refused.body).toMatchObject({ code: "OUT_OF_STOCK", available: 5 });
		expect(await get(path, { headers })).toMatchObject({
			status: "open",
			cancellation_reason: "OUT_OF_STOCK",
		});
	});

	test("a payment to confirm keeps the cart until its order is decided", async () => {
		const { path, headers } = await guestCart();
		await shop.http(`PATCH ${path}`, { headers, body: { email: "guest@example.com" } });
		const checkout = () =>
			shop.http(`POST ${path}/checkout`, {
				headers,
				body: { expected_total: 20, payment_token: "tok_3ds" },
			});
		const pending = await checkout();
		expect(pending).toMatchObject({
			status: 201,
			body: { status: "pending", payment: { status: "requires_action" } },
		});
		expect(await get(path, { headers })).toMatchObject({
			status: "completing",
			order_id: pending.body.id,
		});
		expect((await checkout()).body.id).toBe(pending.body.id);
	});
}
