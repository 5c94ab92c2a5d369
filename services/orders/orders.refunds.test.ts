import { setTimeout as delay } from "node:timers/promises";
import { expect, test } from "@jest/globals";
import { v7 as uuid } from "uuid";
import type { PollerGroup } from "../../lib/async/poller.ts";
import type { Meta } from "../../lib/contracts/contract.ts";
import { done, refused } from "../../lib/contracts/outcome.ts";
import { eventually } from "../../test/support/eventually.ts";
import { admin } from "../../test/support/shop.ts";
import type { PricedOrder } from "./orders.rules.ts";
import { as, pricedOrder, stubbedOrderShop } from "./test/stubbed-order-shop.ts";

const orders = stubbedOrderShop();
const { steps, place, placePriced } = orders;
const failure = (promise: Promise<unknown>) => promise.catch((error) => error);
const amounts = () => steps.refunds.map(({ amount }) => amount);

/** Places an order of three pieces that cost 10 together after discounts, with shipping for 5. */
async function placed() {
	const [line] = pricedOrder().lines as [PricedOrder["lines"][number]];
	const lines = [{ ...line, quantity: 3, unit_price: 4, discount: 2, total: 10, tax: 1.6 }];
	const totals = { subtotal: 12, discount_amount: 2, tax_amount: 2.4, total_amount: 15 };
	const { id } = await placePriced({ priced: pricedOrder({ lines, ...totals }) });
	const refund = (quantity: number, more: object = {}, meta: Meta = {}) => {
		const items = quantity > 0 ? [{ product_id: line.product_id, quantity }] : [];
		const params = { id, items, ...more };
		return orders.shop.call("orders.refund", params, { meta: { user: admin, ...meta } });
	};
	const refunds = async () =>
		(await orders.shop.call("orders.get", { id }, as(admin!))).refunds.map(
			({ amount, status }) => `${amount} ${status}`,
		);
	return { id, product_id: line.product_id, refund, refunds };
}
/** Makes requested refunds due, and lets the poller request them. */
async function retry(id: string): Promise<void> {
	const text = "update refunds set next_at = now() where order_id = $1";
	await orders.shop.databases.query("orders", text, [id]);
	const { pollers } = orders.shop.broker.getLocalService("orders") as unknown as {
		pollers: PollerGroup;
	};
	pollers.wake();
}

test("refunds pieces with their discount and tax; the last ones take the rest", async () => {
	const { id, product_id, refund, refunds } = await placed();
	const first = await refund(1, { reason: "Broken" });
	expect(first).toMatchObject({
		id,
		total_amount: 15,
		refunds: [
			{
				items: [{ product_id, quantity: 1, amount: 3.33 }],
				shipping_amount: 0,
				amount: 3.33,
				tax_amount: 0.53,
				reason: "Broken",
				status: "done",
			},
		],
	});
	await refund(1);
	const last = await refund(1, { shipping: true });
	expect(last.refunds.at(-1)).toMatchObject({ amount: 8.33, shipping_amount: 5 });
	expect(amounts().reduce((sum, amount) => sum + amount, 0)).toBeCloseTo(15, 10);
	expect(await refunds()).toEqual(["3.33 done", "3.34 done", "8.33 done"]);
});

test("an order without discounts is refunded at its prices", async () => {
	const { id, items } = await place();
	const { product_id } = items[0]!;
	const order = await orders.shop.call(
		"orders.refund",
		{ id, items: [{ product_id, quantity: 1 }] },
		as(admin!),
	);
	expect(order.refunds).toMatchObject([{ amount: 19.99, tax_amount: 0 }]);
});

test("rejects what the order does not contain or has been refunded", async () => {
	const { id, product_id, refund } = await placed();
	await refund(2, { shipping: true });
	const reject = (promise: Promise<unknown>, expected: object) =>
		expect(failure(promise)).resolves.toMatchObject(expected);
	const code = { code: 409, type: "NOT_REFUNDABLE" };
	await reject(refund(2), { ...code, data: { product_id, remaining: 1 } });
	await reject(refund(0, { shipping: true }), { ...code, data: { shipping: true } });
	await reject(refund(0), { code: 422 });
	const other = uuid();
	await reject(refund(0, { items: [{ product_id: other, quantity: 1 }] }), {
		...code,
		data: { product_id: other, remaining: 0 },
	});
	await orders.shop.call("orders.cancel", { id }, as(admin!));
	await reject(refund(1), { type: "ILLEGAL_TRANSITION" });
	await reject(orders.shop.call("orders.refund", { id: uuid(), items: [] }, as(admin!)), {
		type: "ORDER_NOT_FOUND",
	});
	expect(steps.refunds).toHaveLength(1);
});

test("concurrent refunds never exceed the ordered quantity", async () => {
	const { refund, refunds } = await placed();
	const results = await Promise.allSettled(Array.from({ length: 8 }, () => refund(1)));
	expect(results.filter(({ status }) => status === "fulfilled")).toHaveLength(3);
	expect(await refunds()).toHaveLength(3);
	expect(amounts().reduce((sum, amount) => sum + amount, 0)).toBeCloseTo(10, 10);
});

test("a refund whose outcome is unknown is requested again under the same ID", async () => {
	const { id, refund, refunds } = await placed();
	steps.refund = () => Promise.reject(new Error("No response"));
	expect((await refund(1)).refunds).toMatchObject([{ status: "requested" }]);
	// Its piece is not available for another refund.
	expect(await failure(refund(3))).toMatchObject({ type: "NOT_REFUNDABLE" });
	steps.refund = () => done;
	await retry(id);
	await eventually(async () => expect(await refunds()).toEqual(["3.33 done"]));
	expect(new Set(steps.refunds.map(({ refund_id }) => refund_id)).size).toBe(1);
	expect(steps.refunds.length).toBeGreaterThan(1);
});

test("a refund that payments refuses fails, and its pieces can be refunded again", async () => {
	const { refund, refunds } = await placed();
	const message = "The payment provider cannot refund exactly 6.67 EUR";
	steps.refund = () => refused("NOT_REFUNDABLE", message);
	const refusal = { code: 409, type: "NOT_REFUNDABLE", message };
	expect(await failure(refund(2))).toMatchObject(refusal);
	steps.refund = () => done;
	await refund(3);
	expect(await refunds()).toEqual(["6.67 failed", "10 done"]);
});

test("concurrent requests with one Idempotency-Key return one response", async () => {
	const { refund, refunds } = await placed();
	const idempotency_key = uuid();
	let calls = 0;
	// One request completes while the first call of payments is in progress.
	steps.refund = async () => {
		if (calls++ === 0) await delay(200);
		return done;
	};
	const keyed = [1, 2, 3].map(() => refund(1, {}, { idempotency_key }));
	const first = await Promise.race(keyed);
	await refund(1);
	expect(await Promise.all(keyed)).toEqual([first, first, first]);
	expect(await refund(1, {}, { idempotency_key })).toEqual(first);
	expect(await refunds()).toEqual(["3.33 done", "3.34 done"]);
});

test("a repeated Idempotency-Key continues the refund of the first request", async () => {
	const { id, refund, refunds } = await placed();
	const idempotency_key = uuid();
	steps.refund = () => Promise.reject(new Error("No response"));
	const [first] = (await refund(1, {}, { idempotency_key })).refunds;
	expect(first).toMatchObject({ status: "requested" });
	// As if the node had died before it stored the response.
	const text = "update idempotency_keys set status = null, answer = null where key = $1";
	await orders.shop.databases.query("orders", text, [idempotency_key]);
	steps.refund = () => done;
	const again = await refund(1, {}, { idempotency_key });
	expect(again).toMatchObject({ id, refunds: [{ id: first!.id, status: "done" }] });
	expect(await refund(1, {}, { idempotency_key })).toEqual(again);
	expect(await failure(refund(2, {}, { idempotency_key }))).toMatchObject({
		type: "IDEMPOTENCY_KEY_REUSED",
	});
	expect(await refunds()).toEqual(["3.33 done"]);
});
