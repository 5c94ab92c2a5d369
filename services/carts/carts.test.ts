import { expect, test } from "@jest/globals";
import { v7 as uuid } from "uuid";
import { summarizeProblem } from "../../test/support/problems.ts";
import { cartShop } from "./test/cart-shop.ts";

const shop = cartShop();
const home = {
	name: "Jo",
	line1: "Main Street 1",
	postal_code: "10115",
	city: "Berlin",
	country: "DE",
};

test("opens a cart for a guest, with a token that is returned once", async () => {
	const response = await shop.http("POST /api/carts", {}, {});
	expect(response.status).toBe(201);
	const { token, ...cart } = response.body;
	expect(token).toMatch(/^[\w-]{22}$/);
	expect(response.headers.get("location")).toBe(`/api/carts/${cart.id}`);
	expect(cart).toMatchObject({
		status: "open",
		user_id: null,
		currency: "EUR",
		email: null,
		lines: [],
		adjustments: [],
		coupon_codes: [],
		shipping_method: null,
		shipping_methods: [],
		total_amount: 0,
		changes: [],
		problems: [],
		order_id: null,
	});
	expect((await shop.get(cart.id, { headers: { "Cart-Token": token } })).body).toEqual(cart);
	expect(JSON.stringify(await shop.row(cart.id))).not.toContain(token);
});
