import { afterAll, beforeAll, expect, test } from "@jest/globals";
import {
	type Customer,
	makeAdmin,
	makeProduct,
	placeOrder,
	register,
} from "../../test/support/builders.ts";
import { eventually } from "../../test/support/eventually.ts";
import { type Shop, startShop } from "../../test/support/shop.ts";

let shop: Shop;
let buyer: Customer;
let product: { id: string };
beforeAll(async () => {
	shop = await startShop();
	const admin = await makeAdmin(shop);
	[buyer, product] = [await register(shop), await makeProduct(shop, admin)];
});
afterAll(() => shop?.stop());

const place = async (payment_token: string, headers = {}) =>
	(await placeOrder(shop, buyer, product, { payment_token }, headers)).body;
const find = async (id: string) =>
	(await shop.http(`GET /api/orders/${id}`, { token: buyer.token })).body;
const becomes = (id: string, expected: object) =>
	eventually(async () => expect(await find(id)).toMatchObject(expected));
const decide = (order_id: string, result: "succeed" | "fail") =>
	shop.call("payments.simulate", { order_id, result });
const reserved = async () =>
	(await shop.http(`GET /api/inventory/${product.id}`, {})).body.reserved;
const audit = async () => (await shop.call("orders.audit", { quiet: 0, recheck: 100 })).violations;
const eventsOf = async (id: string) => {
	const { events } = await shop.call("orders.events", { id }, { meta: { user: buyerOf() } });
	return events.map(({ type }) => type);
};
const buyerOf = () => ({ id: buyer.id, email: buyer.email, role: "user" as const });

test("an order waits for the buyer's confirmation, with its stock reserved", async () => {
	const before = await reserved();
	const order = await place("tok_3ds");
	expect(order).toMatchObject({
		status: "pending",
		payment: {
			status: "requires_action",
			client_secret: `simulated_${order.id}`,
			expires_at: expect.any(String),
		},
	});
	expect(await find(order.id)).toMatchObject(order);
	expect(await reserved()).toBe(before + 1);
	await eventually(async () => expect(await audit()).toEqual([]));

	await decide(order.id, "succeed");
	await becomes(order.id, { status: "confirmed", payment: null });
	expect(await eventsOf(order.id)).toEqual([
		"order.created",
		"order.payment_pending",
		"order.confirmed",
	]);
	await eventually(async () => expect(await audit()).toEqual([]));
});

test("an order whose buyer fails to confirm is cancelled", async () => {
	const before = await reserved();
	const { id } = await place("tok_3ds");
	await decide(id, "fail");
	await becomes(id, { status: "cancelled", cancellation_reason: "PAYMENT_DECLINED" });
	expect(await reserved()).toBe(before);
});

test("a repeated request returns the waiting order instead of a second one", async () => {
	const headers = { "idempotency-key": "wait once" };
	const first = await place("tok_3ds", headers);
	expect(await place("tok_3ds", headers)).toEqual(first);
	// As after a crash before the response was stored.
	await shop.databases.query(
		"orders",
		"update idempotency_keys set status = null, answer = null where key = 'wait once'",
	);
	expect(await place("tok_3ds", headers)).toMatchObject({ id: first.id, payment: first.payment });
});

test("the buyer cancels an order that waits, which releases stock and payment", async () => {
	const before = await reserved();
	const { id } = await place("tok_3ds");
	const { body } = await shop.http(`POST /api/orders/${id}/cancel`, {
		token: buyer.token,
		body: {},
	});
	expect(body).toMatchObject({ status: "cancelled", payment: null });
	expect(await reserved()).toBe(before);
	expect(await decide(id, "succeed")).toEqual({ decided: false });
});

test("an order that still waits at the end of its window is cancelled", async () => {
	const before = await reserved();
	const { id } = await place("tok_3ds");
	const past = "now() - interval '1 second'";
	await shop.databases.query(
		"payments",
		`update payments set expires_at = ${past} where order_id = $1`,
		[id],
	);
	await shop.databases.query("orders", `update orders set saga_wake_at = ${past} where id = $1`, [
		id,
	]);
	await becomes(id, { status: "cancelled", cancellation_reason: "PAYMENT_EXPIRED" });
	expect(await reserved()).toBe(before);
});

test("a debit has no deadline and confirms the order when the bank settles it", async () => {
	const order = await place("tok_debit");
	expect(order.payment).toEqual({ status: "processing", expires_at: null });
	await decide(order.id, "succeed");
	await becomes(order.id, { status: "confirmed" });
});

test("a debit that the bank rejects cancels the order", async () => {
	const { id } = await place("tok_debit");
	await decide(id, "fail");
	await becomes(id, { status: "cancelled", cancellation_reason: "PAYMENT_DECLINED" });
});
