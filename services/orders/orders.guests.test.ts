import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import { v7 as uuid } from "uuid";
import { createOrderToken } from "../../lib/security/order-token.ts";
import { type Customer, makeAdmin, makeProduct, register } from "../../test/support/builders.ts";
import { listen } from "../../test/support/event-stream.ts";
import { eventually } from "../../test/support/eventually.ts";
import { publisher, type Shop, startShop } from "../../test/support/shop.ts";
import type { PricedOrder } from "./orders.rules.ts";
import { pricedOrder } from "./test/stubbed-order-shop.ts";

const PREVIOUS = "the previous secret, long enough to be one as well";
let shop: Shop;
let admin: Customer;
let product: { id: string };
beforeAll(async () => {
	shop = await startShop({ env: { JWT_SECRET_PREVIOUS: PREVIOUS } });
	admin = await makeAdmin(shop);
	product = await makeProduct(shop, admin, { stock: 1000 });
});
afterAll(() => shop?.stop());

/** Places the order of a guest, without promotions. */
async function place(email = `${uuid()}@example.com`): Promise<{ id: string; token: string }> {
	const [line] = pricedOrder().lines as [PricedOrder["lines"][number]];
	const lines = [{ ...line, product_id: product.id }];
	const { id } = await shop.call("orders.place", {
		order_id: uuid(),
		user_id: null,
		payment_token: "tok_ok",
		priced: pricedOrder({ email, lines, adjustments: [] }),
	});
	return { id, token: createOrderToken(shop.env.JWT_SECRET!, id) };
}
const get = (path: string, secret?: string, token?: string) =>
	shop.http(`GET /api/orders/${path}`, {
		...(secret === undefined ? {} : { headers: { "order-token": secret } }),
		...(token ? { token } : {}),
	});

describe("the token of a guest's order", () => {
	test("gives access to the order and its timeline, and to nothing else", async () => {
		const { id, token } = await place();
		const found = await get(id, token);
		expect(found).toMatchObject({ status: 200, body: { id, user_id: null, user: null } });
		expect(found.headers.get("cache-control")).toBe("no-store");
		const timeline = await get(`${id}/timeline`, token);
		expect(timeline).toMatchObject({ status: 200, body: { order_id: id, status: "confirmed" } });
		const cancel = { headers: { "order-token": token }, body: {} };
		expect(await shop.http(`POST /api/orders/${id}/cancel`, cancel)).toMatchObject({ status: 401 });
		const other = await place();
		expect(await get(other.id, token)).toMatchObject({
			status: 404,
			body: { code: "ORDER_NOT_FOUND" },
		});
	});

	test("gives access to the event stream of the order", async () => {
		const { id, token } = await place();
		const url = `${shop.url}/api/orders/${id}/events`;
		const open = (secret: string) => listen(url, { headers: { "order-token": secret } });
		expect((await open((await place()).token)).status).toBe(404);
		const streams = await Promise.all(Array.from({ length: 11 }, () => open(token)));
		try {
			const statuses = streams.map(({ status }) => status).sort();
			expect(statuses).toEqual([...Array(10).fill(200), 429]);
			const { messages } = streams.find(({ status }) => status === 200)!;
			await eventually(() =>
				expect(messages.map(({ event }) => event)).toContain("order.confirmed"),
			);
		} finally {
			for (const stream of streams) stream.close();
		}
	});

	test("is also valid if it was derived from the previous secret", async () => {
		const { id } = await place();
		expect((await get(id, createOrderToken(PREVIOUS, id))).status).toBe(200);
		const foreign = createOrderToken("another secret, just as long as these two are", id);
		expect((await get(id, foreign)).status).toBe(404);
	});

	test("is required from everyone but an admin", async () => {
		const { id, token } = await place();
		const stranger = await register(shop);
		expect((await get(id)).status).toBe(401);
		expect((await get(id, undefined, stranger.token)).status).toBe(404);
		expect((await get(id, token, stranger.token)).status).toBe(200);
		expect((await get(id, undefined, admin.token)).status).toBe(200);
		expect((await get(uuid(), token)).status).toBe(404);
	});
});

test("a guest's orders join the account that verifies their address", async () => {
	const email = `jo-${uuid()}@example.com`;
	const [first, second, other] = [
		await place(email),
		await place(email.toUpperCase()),
		await place(),
	];
	const [jo, later] = [await register(shop), await register(shop)];
	const verify = (user_id: string) =>
		publisher(shop.broker, "users")("user.email_verified", user_id, { user_id, email });
	expect((await get(first.id, undefined, jo.token)).status).toBe(404);
	await verify(jo.id);
	for (const { id } of [first, second])
		await eventually(async () =>
			expect(await get(id, undefined, jo.token)).toMatchObject({
				status: 200,
				body: { user_id: jo.id, email, user: { id: jo.id } },
			}),
		);
	for (const { id } of [first, second]) {
		const payments = await shop.http(`GET /api/payments?order_id=${id}`, { token: jo.token });
		expect(payments.body).toMatchObject([{ order_id: id, status: "captured" }]);
		expect(
			await shop.http(`GET /api/payments/${payments.body[0].id}`, { token: jo.token }),
		).toMatchObject({ status: 200, body: { order_id: id } });
	}
	const { body } = await shop.http("GET /api/orders", { token: jo.token });
	expect(body.map(({ id }: { id: string }) => id)).toEqual([second.id, first.id]);
	expect((await get(other.id, undefined, jo.token)).status).toBe(404);
	// The token of the order discloses nothing about the account.
	await shop.http(`POST /api/orders/${first.id}/ship`, { token: admin.token });
	const [order, timeline] = [
		await get(first.id, first.token),
		await get(`${first.id}/timeline`, first.token),
	];
	expect(order.body).toMatchObject({ status: "shipped", email, user_id: null, user: null });
	const names = timeline.body.entries.map(({ name }: { name: string }) => name);
	expect(names).toContain("order.shipped");
	const meta = { token: first.token };
	const { events } = await shop.call("orders.events", { id: first.id }, { meta });
	expect(events.map(({ type }) => type)).toContain("order.shipped");
	expect(JSON.stringify([order, timeline, events])).not.toContain(jo.id);

	// Promotions for the first order end for the account, and stay ended for the guest.
	const customers = [jo.id, later.id, email];
	const haveOrdered = await shop.call("orders.haveOrdered", { customers });
	expect(haveOrdered).toEqual([true, false, true]);

	// An order that belongs to an account never changes its owner.
	await verify(later.id);
	const third = await place(email);
	await verify(later.id);
	await eventually(async () =>
		expect((await get(third.id, undefined, later.token)).status).toBe(200),
	);
	expect((await get(first.id, undefined, later.token)).status).toBe(404);
	expect((await get(first.id, undefined, jo.token)).status).toBe(200);
});

test("summaries contain what messages show, and no secret of the payment", async () => {
	const { id } = await place("summary@example.com");
	const [summary, missing] = await shop.call("orders.summaries", { ids: [id, uuid()] });
	expect(missing).toBeNull();
	expect(summary).toMatchObject({
		...{ id, user_id: null, email: "summary@example.com", currency: "EUR" },
		...{ subtotal: 39.98, discount_amount: 4, shipping_amount: 5, total_amount: 40.98 },
		items: [{ product_id: product.id, quantity: 2, line_total: 39.98 }],
		taxes: [{ name: "VAT", rate: 0.19, amount: 6.54 }],
		shipping_address: { country: expect.any(String) },
	});
	expect(Object.keys(summary!)).not.toContain("payment");
});

test("only an admin cancels the order of a guest, which refunds the payment", async () => {
	const { id } = await place();
	const { status, body } = await shop.http(`POST /api/orders/${id}/cancel`, {
		token: admin.token,
		body: {},
	});
	expect([status, body.status, body.user_id]).toEqual([200, "cancelled", null]);
	const payments = await shop.http(`GET /api/payments?order_id=${id}`, { token: admin.token });
	expect(payments.body).toMatchObject([{ user_id: null, status: "refunded" }]);
});
