import { afterAll, afterEach, beforeAll, expect, test } from "@jest/globals";
import { v7 as uuid } from "uuid";
import { MAX_ADJUSTMENTS, MAX_AUTOMATIC, MAX_COUPONS } from "../../lib/pricing/limits.ts";
import { type Customer, makeAdmin, makeProduct, register } from "../../test/support/builders.ts";
import { clientOf } from "../../test/support/client.ts";
import { eventually } from "../../test/support/eventually.ts";
import { afterOutage } from "../../test/support/outages.ts";
import { publisher, type Shop, startShop } from "../../test/support/shop.ts";
import { promotionsOf } from "../promotions/test/commands.ts";

let shop: Shop;
let admin: Customer;
let product: { id: string };
beforeAll(async () => {
	shop = await startShop();
	admin = await makeAdmin(shop);
	product = await makeProduct(shop, admin, { stock: 1000 });
});
afterAll(() => shop?.stop());

const promotions = promotionsOf(() => shop);
const created: string[] = [];
/** Creates a promotion, of 10 % by default, that the end of the test deletes. */
async function promotion(fields: object): Promise<string> {
	const { id } = await promotions.create(fields);
	created.push(id);
	return id;
}
afterEach(async () => {
	for (const id of created.splice(0)) await promotions.remove(id);
});

/** The cart of a guest with two pieces of a product at 10.00. */
async function guestCart(email: string, coupon_codes: string[] = []) {
	const { id, token } = await clientOf(shop).carts.create();
	const { carts } = clientOf(shop).with({ cartToken: token! });
	await carts.setLine({ id, product_id: product.id, quantity: 2 });
	await carts.update({ id, email, coupon_codes });
	// On a busy machine, a service may exceed its time limit.
	const cart = await eventually(async () => {
		const found = await carts.get({ id });
		expect(found.estimated).toBe(false);
		return found;
	});
	const checkout = () => afterOutage(() => carts.checkout({ id, expected_total: 20 }));
	return { cart, checkout };
}

test("a guest whose first order joined an account orders again, without its discount", async () => {
	const welcome = await promotion({ conditions: { first_order: true } });
	const email = `jo-${uuid()}@example.com`;
	const first = await guestCart(email);
	expect(first.cart.total_amount).toBe(18);
	const { id } = await first.checkout();

	const { id: user_id } = await register(shop);
	const verified = { user_id, email };
	await publisher(shop.broker, "users")("user.email_verified", user_id, verified);
	await eventually(async () =>
		expect(await clientOf(shop, admin).orders.get({ id })).toMatchObject({ user_id }),
	);
	const second = await guestCart(email);
	expect(second.cart).toMatchObject({ total_amount: 20, problems: [] });
	expect(await second.checkout()).toMatchObject({ status: "confirmed", discount_amount: 0 });
	expect(await promotions.get(welcome)).toMatchObject({ used: 1 });
});

test("an order can have the discounts of all automatic promotions and coupons", async () => {
	const effect = { type: "amount_off", value: 0.01 };
	const codes = Array.from({ length: MAX_COUPONS }, (_, i) => `CENT-${i}`);
	const all = [...codes, ...Array.from({ length: MAX_AUTOMATIC }, () => null)];
	// One after the other: a burst could wait longer for a connection than its pool allows.
	const ids: string[] = [];
	for (const code of all) ids.push(await promotion({ effect, code }));

	const { cart, checkout } = await guestCart("cents@example.com", codes);
	expect(cart).toMatchObject({ discount_amount: 1.1, total_amount: 18.9, problems: [] });
	expect(cart.adjustments).toHaveLength(MAX_ADJUSTMENTS);
	expect(await checkout()).toMatchObject({ status: "confirmed", total_amount: 18.9 });

	const { token } = await register(shop);
	const items = [{ product_id: product.id, quantity: 2 }];
	const order = await clientOf(shop, { token }).orders.create({ items });
	expect(order).toMatchObject({ status: "confirmed", discount_amount: 1, total_amount: 19 });
	expect(await promotions.get(ids[0]!)).toMatchObject({ code: codes[0], used: 1, spent: 0.01 });
	expect(await promotions.get(ids.at(-1)!)).toMatchObject({ code: null, used: 2, spent: 0.02 });
});
