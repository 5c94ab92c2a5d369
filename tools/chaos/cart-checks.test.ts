import { expect, test } from "@jest/globals";
import { checkCarts } from "./cart-checks.ts";
import { nameOf } from "./carts.ts";

const cart = (over: object = {}) => ({
	id: "cart",
	status: "completed",
	order_id: "order",
	...over,
});
const order = (over: object = {}) => ({
	id: "order",
	status: "confirmed",
	customer: "guest@example.com",
	name: nameOf("cart"),
	adjustments: [{ promotion_id: "coupon", amount: 5 }],
	...over,
});
const promotion = (over: object = {}) => ({
	id: "coupon",
	code: "COUPON",
	used: 1,
	spent: 5,
	redeemed: 1,
	redeemed_amount: 5,
	usage_limit: 1,
	customer_limit: 1,
	budget: 5,
	...over,
});
/** Names of the violations for these rows. */
async function found(carts: object[], orders: object[], promotions: object[]) {
	const rows: Record<string, object[]> = { carts, orders, promotions };
	const query = async (service: string) => rows[service] ?? [];
	return (await checkCarts({ query: query as never })).map(({ invariant }) => invariant);
}
const second = {
	cart: cart({ id: "b", order_id: "b" }),
	order: order({ id: "b", name: "Cart b" }),
};

test("checkCarts accepts completed carts, open carts, and cancelled orders", async () => {
	expect(await found([cart()], [order()], [promotion()])).toEqual([]);
	const unused = promotion({ used: 0, spent: 0, redeemed: 0, redeemed_amount: 0 });
	const cancelled = order({ status: "cancelled" });
	expect(await found([cart()], [cancelled], [unused])).toEqual([]);
	expect(
		await found([cart({ status: "open", order_id: null })], [cancelled, cancelled], [unused]),
	).toEqual([]);
});

test.each<[string, object[], object[], object]>([
	["CHECKOUT_OPEN", [cart({ status: "completing" })], [order({ status: "cancelled" })], {}],
	["CART_ORDERED_TWICE", [cart()], [order(), order({ id: "again" })], {}],
	["CART_NOT_COMPLETED", [cart({ status: "open", order_id: null })], [order()], {}],
	["CART_NOT_COMPLETED", [cart({ order_id: "another" })], [order()], {}],
	["COMPLETED_WITHOUT_ORDER", [cart()], [], {}],
	["COMPLETED_WITHOUT_ORDER", [cart()], [order({ status: "cancelled", name: "Cart b" })], {}],
	["ORDER_WITHOUT_CART", [], [order()], {}],
	["WRONG_USES", [cart()], [order()], { used: 0 }],
	["WRONG_USES", [cart()], [order()], { redeemed: 2 }],
	["WRONG_USES", [cart()], [order()], { spent: 6 }],
	["WRONG_USES", [cart()], [order()], { redeemed_amount: 4 }],
	["LIMIT_EXCEEDED", [cart()], [order()], { budget: 4 }],
	["LIMIT_EXCEEDED", [cart(), second.cart], [order(), second.order], { customer_limit: null }],
	["LIMIT_EXCEEDED", [cart(), second.cart], [order(), second.order], { usage_limit: null }],
])("checkCarts reports %s", async (invariant, carts, orders, over) => {
	const live = orders.filter((one) => (one as { status: string }).status === "confirmed").length;
	const sums = { used: live, redeemed: live, spent: live * 5, redeemed_amount: live * 5 };
	const limits = { budget: live * 5 };
	const promotions = [promotion({ ...sums, ...limits, ...over })];
	expect(await found(carts, orders, promotions)).toContain(invariant);
});
