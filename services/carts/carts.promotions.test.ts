import { afterAll, beforeAll, expect, test } from "@jest/globals";
import { v7 as uuid } from "uuid";
import { type Customer, makeAdmin, makeProduct, register } from "../../test/support/builders.ts";
import { clientOf } from "../../test/support/client.ts";
import { eventually } from "../../test/support/eventually.ts";
import { publisher, type Shop, startShop } from "../../test/support/shop.ts";

let shop: Shop;
let admin: Customer;
let product: { id: string };
beforeAll(async () => {
	shop = await startShop();
	admin = await makeAdmin(shop);
	product = await makeProduct(shop, admin, { stock: 1000 });
});
afterAll(() => shop?.stop());

/** The cart of a guest with two pieces of a product at 10.00. */
async function guestCart(email: string) {
	const { id, token } = await clientOf(shop).carts.create();
	const { carts } = clientOf(shop).with({ cartToken: token! });
	await carts.setLine({ id, product_id: product.id, quantity: 2 });
	const cart = await carts.update({ id, email });
	return { cart, checkout: () => carts.checkout({ id, expected_total: 20 }) };
}

test("a guest whose first order joined an account orders again, without its discount", async () => {
	const effect = { type: "percent_off", value: 10 } as const;
	const conditions = { first_order: true };
	const { promotions } = clientOf(shop, admin);
	const { id: promotion } = await promotions.create({ name: "Welcome", effect, conditions });
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
	expect((await promotions.get({ id: promotion })).used).toBe(1);
	await promotions.remove({ id: promotion });
});
