import { expect, test } from "@jest/globals";
import { v7 as uuid } from "uuid";
import { done, type Outcome, pending, refused } from "../../lib/contracts/outcome.ts";
import { eventually } from "../../test/support/eventually.ts";
import { customer, unknownProduct } from "../../test/support/order-shop.ts";
import { admin } from "../../test/support/shop.ts";
import { as, item, stubbedOrderShop } from "./test/stubbed-order-shop.ts";

const orders = stubbedOrderShop();
const { steps, place } = orders;

const eventsOf = async (id: string) =>
	(
		await orders.shop.databases.query<{ type: string }>(
			"orders",
			"select type from outbox where subject = $1 order by xid, seq",
			[id],
		)
	).map(({ type }) => type);

test("confirms an order at the current prices when all steps succeed", async () => {
	const order = await place();
	expect(order).toMatchObject({
		status: "confirmed",
		total_amount: 39.98,
		currency: "EUR",
		user_id: customer.id,
	});
	expect(order.items).toMatchObject([
		{ name: "Tea", quantity: 2, unit_price: 19.99, line_total: 39.98 },
	]);
	const stored = await orders.shop.call("orders.get", { id: order.id }, as(customer));
	expect(stored).toMatchObject({
		...order,
		items: [{ ...order.items[0], product: { name: "Tea" } }],
		user: { id: customer.id },
	});
	expect(await eventsOf(order.id)).toEqual(["order.created", "order.confirmed"]);
});

test("a refused first step cancels the order and compensates only that step", async () => {
	steps.reserve = () => refused("OUT_OF_STOCK");
	const failed = await place().catch((error) => error);
	expect(failed).toMatchObject({
		code: 409,
		type: "OUT_OF_STOCK",
		data: { order_id: expect.any(String) },
	});
	const { order_id } = failed.data;
	expect(await orders.shop.call("orders.get", { id: order_id }, as(customer))).toMatchObject({
		status: "cancelled",
		cancellation_reason: "OUT_OF_STOCK",
	});
	expect(steps.of(order_id)).toEqual(["reserve", "release"]);
	expect(await eventsOf(order_id)).toEqual(["order.created", "order.cancelled"]);
});

test("a declined payment releases the stock", async () => {
	steps.charge = () => refused("PAYMENT_DECLINED", "insufficient funds");
	const failed = await place().catch((error) => error);
	expect(failed).toMatchObject({
		code: 402,
		type: "PAYMENT_DECLINED",
		data: { reason: "insufficient funds" },
	});
	expect(steps.of(failed.data.order_id)).toEqual(["reserve", "charge", "reverse", "release"]);
});

test("an undeliverable address reverses the payment and releases the stock", async () => {
	const failed = await place({ shipping_address: "Undeliverable Road" }).catch((error) => error);
	expect(failed).toMatchObject({ type: "UNDELIVERABLE" });
	expect(steps.of(failed.data.order_id)).toEqual(["reserve", "charge", "reverse", "release"]);
});

test("retries an inconclusive step", async () => {
	const outcomes: (() => Promise<Outcome> | Outcome)[] = [
		() => pending,
		() => Promise.reject(new Error("unknown")),
		() => done,
	];
	steps.charge = () => outcomes.shift()!();
	expect(await place()).toMatchObject({ status: "confirmed" });
});

test("returns a slow order as pending and completes it later", async () => {
	let open = () => {};
	const gate = new Promise<void>((resolve) => {
		open = resolve;
	});
	steps.charge = () => gate.then(() => done);
	const slow = orders.shop.call(
		"orders.create",
		{ items: [item()] },
		{ meta: { user: customer, respond_async: true } },
	);
	const { id, status } = await slow;
	expect(status).toBe("pending");
	open();
	await eventually(async () =>
		expect(await orders.shop.call("orders.get", { id }, as(customer))).toMatchObject({
			status: "confirmed",
		}),
	);
});

test("cancelling a confirmed order compensates all steps in reverse order", async () => {
	const { id } = await place();
	steps.calls = [];
	const cancelled = await orders.shop.call(
		"orders.cancel",
		{ id, reason: "Changed my mind" },
		as(customer),
	);
	expect(cancelled).toMatchObject({ status: "cancelled", cancellation_reason: "Changed my mind" });
	expect(steps.of(id)).toEqual(["reverse", "release"]);
	await expect(orders.shop.call("orders.cancel", { id }, as(customer))).rejects.toMatchObject({
		type: "ILLEGAL_TRANSITION",
	});
});

test("a cancellation during the saga prevents the confirmation", async () => {
	let respond: (outcome: Outcome) => void = () => {};
	const reached = new Promise<void>((resolve) => {
		steps.charge = () => {
			resolve();
			return new Promise((settle) => {
				respond = settle;
			});
		};
	});
	const placing = place().catch((error) => error);
	await reached;
	const id = steps.calls.at(-1)!.split(" ")[1]!;
	const cancelling = orders.shop.call("orders.cancel", { id }, as(customer));
	await eventually(() => expect(steps.of(id)).toContain("release"));
	respond(done);
	expect(await cancelling).toMatchObject({ status: "cancelled" });
	expect(await placing).toMatchObject({ type: "ORDER_CANCELLED" });
	expect(await eventsOf(id)).toEqual(["order.created", "order.cancelled"]);
});

test("a shipped order can be delivered but not cancelled", async () => {
	const { id } = await place();
	await expect(orders.shop.call("orders.deliver", { id }, as(admin!))).rejects.toMatchObject({
		type: "ILLEGAL_TRANSITION",
	});
	expect(await orders.shop.call("orders.ship", { id }, as(admin!))).toMatchObject({
		status: "shipped",
	});
	await expect(orders.shop.call("orders.cancel", { id }, as(customer))).rejects.toMatchObject({
		type: "ILLEGAL_TRANSITION",
	});
	expect(await orders.shop.call("orders.deliver", { id }, as(admin!))).toMatchObject({
		status: "delivered",
	});
	expect(await eventsOf(id)).toEqual([
		"order.created",
		"order.confirmed",
		"order.shipped",
		"order.delivered",
	]);
});

test("a dispatched shipment marks its order as shipped, which is then final", async () => {
	const { id } = await place();
	await orders.shop.call("shipping.dispatch", { orders: [{ order_id: id }] });
	await eventually(async () =>
		expect(await orders.shop.call("orders.get", { id }, as(customer))).toMatchObject({
			status: "shipped",
		}),
	);
	await expect(orders.shop.call("orders.cancel", { id }, as(customer))).rejects.toMatchObject({
		type: "ILLEGAL_TRANSITION",
	});
});

test("an unknown product prevents the order", async () => {
	const before = await orders.shop.databases.query("orders", "select count(*) from orders");
	await expect(
		place({ items: [item(), { product_id: unknownProduct, quantity: 1 }] }),
	).rejects.toMatchObject({
		type: "PRODUCT_NOT_FOUND",
		data: { product_ids: [unknownProduct] },
	});
	expect(await orders.shop.databases.query("orders", "select count(*) from orders")).toEqual(
		before,
	);
});

test("a customer can access only their own orders, an admin all", async () => {
	const { id } = await place();
	const otherUser = { id: uuid(), email: "stranger@example.com", role: "user" };
	await expect(orders.shop.call("orders.get", { id }, as(otherUser))).rejects.toMatchObject({
		type: "ORDER_NOT_FOUND",
	});
	await expect(orders.shop.call("orders.cancel", { id }, as(otherUser))).rejects.toMatchObject({
		type: "ORDER_NOT_FOUND",
	});
	expect(await orders.shop.call("orders.list", {}, as(otherUser))).toEqual({ rows: [], total: 0 });
	await expect(
		orders.shop.call("orders.list", { user_id: customer.id }, as(otherUser)),
	).rejects.toMatchObject({ type: "FORBIDDEN" });
	const all = await orders.shop.call("orders.list", { limit: 1, status: "confirmed" }, as(admin!));
	expect(all.rows).toHaveLength(1);
	expect(all.total).toBeGreaterThan(1);
});

test("the total is exact up to ten thousand orders and estimated above", async () => {
	const { id } = await place();
	const [user_id, other] = [uuid(), uuid()];
	// Older than all others, so that they do not appear on the first page of other lists.
	const copies = `insert into orders
		select (jsonb_populate_record(o, jsonb_build_object(
			'id', '00000000-0000-7000-8000-' || lpad(n::text, 12, '0'),
			'status', 'delivered',
			'user_id', case when n <= 50 then $2 else $3 end))).*
		from orders o, generate_series(1, 10051) n where o.id = $1`;
	await orders.shop.databases.query("orders", copies, [id, other, user_id]);
	const total = async (filter: object) =>
		(await orders.shop.call("orders.list", { limit: 1, skip: 20_000, ...filter }, as(admin!)))
			.total;
	expect([await total({ user_id }), await total({ user_id: other })]).toEqual([10_001, 50]);
	expect(await total({ user_id: other, status: "delivered" })).toBe(50);
	for (const filter of [{}, { status: "delivered" }])
		expect(await total(filter)).toBeGreaterThan(10_000);
	const page = await orders.shop.call(
		"orders.list",
		{ user_id, skip: 9_999, limit: 3 },
		as(admin!),
	);
	expect([page.rows.length, page.total]).toEqual([2, 10_001]);
	await orders.shop.databases.query("orders", "delete from orders where user_id = any($1)", [
		[user_id, other],
	]);
});

test("concurrent orders share their steps but have individual outcomes", async () => {
	let n = 0;
	steps.reserve = () => (n++ % 2 ? refused("OUT_OF_STOCK") : done);
	const settled = await Promise.allSettled(Array.from({ length: 20 }, () => place()));
	expect(settled.filter(({ status }) => status === "fulfilled")).toHaveLength(10);
});

test("a returned shipment cannot be delivered", async () => {
	const { id } = await place();
	await orders.shop.call("orders.ship", { id }, as(admin!));
	await orders.shop.call("shipping.return", { orders: [{ order_id: id }] });
	await expect(orders.shop.call("orders.deliver", { id }, as(admin!))).rejects.toMatchObject({
		type: "ILLEGAL_TRANSITION",
	});
	expect(await orders.shop.call("orders.get", { id }, as(customer))).toMatchObject({
		status: "shipped",
	});
});
