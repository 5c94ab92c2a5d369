import { randomBytes } from "node:crypto";
import { expect, test } from "@jest/globals";
import {
	type Customer,
	cancelOrder,
	makeProduct,
	register,
	untilSettled,
} from "../support/builders.ts";
import { clientOf, problemOf } from "../support/client.ts";
import { type AnyShop, useShop } from "./shape.ts";

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
	useShop(open, (...started) => {
		[shop, admin] = started;
	});

	/** The cart of a guest with two pieces of a product at 10.00, and the guest's client. */
	async function guestCart() {
		const { id, token } = await clientOf(shop).carts.create();
		const guest = clientOf(shop).with({ cartToken: token! });
		const product = await makeProduct(shop, admin, { stock: 5 });
		const cart = await guest.carts.setLine({ id, product_id: product.id, quantity: 2 });
		expect(cart).toMatchObject({ total_amount: 20, lines: [{ available: 5 }] });
		return { id, guest, product, cartToken: token! };
	}

	test("a guest orders with an address and a coupon, and reads the order", async () => {
		const { id, guest } = await guestCart();
		const code = `FLOW-${randomBytes(5).toString("hex")}`;
		const effect = { type: "percent_off", value: 10 } as const;
		await clientOf(shop, admin).promotions.create({ name: "A tenth", code, effect });
		const email = `${randomBytes(6).toString("hex")}@example.com`;
		const details = { email, shipping_address: home, coupon_codes: [code.toLowerCase()] };
		const changed = await guest.carts.update({ id, ...details });
		expect(changed).toMatchObject({ total_amount: 18, problems: [], coupon_codes: [code] });

		const idempotencyKey = randomBytes(8).toString("hex");
		const checkout = () =>
			guest.carts.checkout({ id, expected_total: 18 }, { idempotencyKey }).withResponse();
		const placed = await untilSettled(checkout);
		expect(placed).toMatchObject({
			status: 201,
			value: {
				status: "confirmed",
				user_id: null,
				email,
				total_amount: 18,
				discount_amount: 2,
				coupon_codes: [code],
				shipping_address: home,
			},
		});
		const { order_token, ...order } = placed.value;
		expect(await checkout()).toMatchObject({ replayed: true, value: placed.value });
		expect(await guest.carts.get({ id })).toMatchObject({
			status: "completed",
			order_id: order.id,
			total_amount: 18,
		});
		const read = clientOf(shop).orders.get({ id: order.id }, { orderToken: order_token! });
		expect(await read).toMatchObject({ status: "confirmed", total_amount: 18 });
	});

	test("a user claims the cart of a guest, whose payment is declined first", async () => {
		const { id, guest, cartToken } = await guestCart();
		const user = await register(shop);
		const { carts } = clientOf(shop, user);
		const claimed = await carts.claim({ id }, { cartToken });
		expect(claimed).toMatchObject({ user_id: user.id, total_amount: 20 });
		expect((await problemOf(guest.carts.get({ id }))).status).toBe(404);

		const checkout = (payment_token = "tok_ok") =>
			untilSettled((idempotencyKey) =>
				carts.checkout({ id, expected_total: 20, payment_token }, { idempotencyKey }),
			);
		expect(await problemOf(checkout("tok_declined"))).toMatchObject({
			status: 402,
			code: "PAYMENT_DECLINED",
		});
		expect(await carts.get({ id })).toMatchObject({
			status: "open",
			cancellation_reason: "PAYMENT_DECLINED",
			lines: [{ available: 5 }],
		});
		const placed = await checkout();
		expect(placed).toMatchObject({ status: "confirmed", user_id: user.id, total_amount: 20 });
		expect(await problemOf(checkout())).toMatchObject({
			code: "CART_COMPLETED",
			data: { order_id: placed.id },
		});
	});

	test("a risen price is refused with the new cart, and a fallen one is charged", async () => {
		const { id, guest, product } = await guestCart();
		await guest.carts.update({ id, email: "guest@example.com" });
		const setPrice = (price: number) =>
			clientOf(shop, admin).products.update({ id: product.id, price });
		await setPrice(11);
		const checkout = () =>
			untilSettled((idempotencyKey) =>
				guest.carts.checkout({ id, expected_total: 20 }, { idempotencyKey }),
			);
		expect(await problemOf(checkout())).toMatchObject({
			code: "PRICE_CHANGED",
			data: {
				cart: {
					total_amount: 22,
					lines: [{ available: 5 }],
					changes: [{ product_id: product.id, from: 10, to: 11 }],
				},
			},
		});
		await setPrice(9);
		expect(await checkout()).toMatchObject({ status: "confirmed", total_amount: 18 });
	});

	test("an order without enough stock opens the cart again", async () => {
		const { id, guest, product } = await guestCart();
		await guest.carts.update({ id, email: "guest@example.com" });
		const cart = await guest.carts.setLine({ id, product_id: product.id, quantity: 6 });
		expect(cart.problems).toMatchObject([{ code: "OUT_OF_STOCK" }]);
		const refused = await problemOf(
			untilSettled((idempotencyKey) =>
				guest.carts.checkout({ id, expected_total: 60 }, { idempotencyKey }),
			),
		);
		expect(refused.code).toBe("OUT_OF_STOCK");
		expect(await guest.carts.get({ id })).toMatchObject({
			status: "open",
			cancellation_reason: "OUT_OF_STOCK",
		});
	});

	test("a payment to confirm keeps the cart until its order is decided", async () => {
		const { id, guest } = await guestCart();
		await guest.carts.update({ id, email: "guest@example.com" });
		const checkout = () =>
			guest.carts.checkout({ id, expected_total: 20, payment_token: "tok_3ds" }).withResponse();
		const pending = await untilSettled(checkout);
		expect(pending).toMatchObject({
			status: 201,
			value: { status: "pending", payment: { status: "requires_action" } },
		});
		expect(await guest.carts.get({ id })).toMatchObject({
			status: "completing",
			order_id: pending.value.id,
		});
		expect((await checkout()).value.id).toBe(pending.value.id);
	});

	test("a cart is open at once after the buyer has cancelled its order", async () => {
		const { id, cartToken } = await guestCart();
		const client = clientOf(shop, await register(shop));
		const { carts } = client;
		await carts.claim({ id }, { cartToken });
		const placed = await untilSettled((idempotencyKey) =>
			carts.checkout({ id, expected_total: 20, payment_token: "tok_3ds" }, { idempotencyKey }),
		);
		expect(await carts.get({ id })).toMatchObject({ status: "completing", order_id: placed.id });
		await cancelOrder(client, { id: placed.id, reason: "Too slow" });
		expect(await carts.get({ id })).toMatchObject({
			status: "open",
			order_id: null,
			cancellation_reason: "Too slow",
		});
	});
}
