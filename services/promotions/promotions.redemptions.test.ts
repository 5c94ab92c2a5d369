import { afterAll, afterEach, beforeAll, describe, expect, test } from "@jest/globals";
import { v7 as uuid } from "uuid";
import { customerLimitOf } from "../../lib/pricing/sources.ts";
import { type Shop, startShop } from "../../test/support/shop.ts";
import { newOrder, promotionsOf, times, usedUp } from "./test/commands.ts";

let shop: Shop;
beforeAll(async () => {
	shop = await startShop({ services: ["promotions"] });
});
const { create, update, remove, get, redeem, release, eventsOf, expectConsistentCounters } =
	promotionsOf(() => shop);
afterEach(expectConsistentCounters);
afterAll(() => shop?.stop());

const done = { status: "done" };
const released = { status: "refused", code: "RELEASED" };
const idOf = async (fields: object = {}) => (await create(fields)).id;

test("redeems a repeated order once and publishes one event", async () => {
	const [a, b] = [await idOf(), await idOf({ usage_limit: 5, budget: 100 })];
	const order = newOrder([a, b], {
		uses: [
			{ promotion_id: a, amount: 0.1 },
			{ promotion_id: b, amount: 20.2 },
		],
	});
	expect(await redeem(order, order)).toEqual([done, done]);
	expect(await redeem(order)).toEqual([done]);
	expect(await get(a)).toMatchObject({ used: 1, spent: 0.1, is_exhausted: false });
	expect(await get(b)).toMatchObject({ used: 1, spent: 20.2, is_exhausted: false });
	const { order_id, uses } = order;
	expect(await eventsOf(order_id)).toEqual([
		{ type: "promotion.redeemed", data: { order_id, uses } },
	]);
});

test("a repeated order does not affect other orders of its batch", async () => {
	const id = await idOf({ usage_limit: 3 });
	const [first, second, third, fourth] = times(4, () => newOrder([id]));
	await redeem(first!);
	expect(await redeem(second!, first!, third!, fourth!)).toEqual([done, done, done, usedUp(id)]);
	expect(await get(id)).toMatchObject({ used: 3, spent: 15, is_exhausted: true });
});

test("serves the orders of a batch in the order of the list", async () => {
	const code = `C-${uuid()}`;
	const id = await idOf({ code, usage_limit: 3 });
	const refusal = usedUp(id, code);
	const batch = times(5, () => newOrder([id]));
	expect(await redeem(...batch)).toEqual([done, done, done, refusal, refusal]);
	expect(await redeem(...batch.slice(3))).toEqual([refusal, refusal]);
	await release(batch[1]!);
	expect(await redeem(...batch.toReversed())).toEqual([done, refusal, done, released, done]);
});

test("takes all promotions of an order or none", async () => {
	const [a, b] = [await idOf({ usage_limit: 2 }), await idOf({ usage_limit: 1 })];
	const [both, onlyB, again, onlyA] = [
		newOrder([a, b]),
		newOrder([b]),
		newOrder([a, b]),
		newOrder([a]),
	];
	expect(await redeem(both, onlyB, again, onlyA)).toEqual([done, usedUp(b), usedUp(b), done]);
	expect(await get(a)).toMatchObject({ used: 2 });
	expect(await eventsOf(again.order_id)).toEqual([]);
	await release(both);
	expect(await redeem(again)).toEqual([done]);
});

test("an order uses a promotion once, with the sum of its discounts", async () => {
	const id = await idOf({ usage_limit: 1, budget: 0.3 });
	const uses = [0.1, 0.2].map((amount) => ({ promotion_id: id, amount }));
	expect(await redeem(newOrder([id], { uses }))).toEqual([done]);
	expect(await get(id)).toMatchObject({ used: 1, spent: 0.3, is_exhausted: true });
});

describe("a budget", () => {
	const spend = (id: string, ...amounts: number[]) =>
		amounts.map((amount) => newOrder([id], { uses: [{ promotion_id: id, amount }] }));

	test("is spent to the last minor unit", async () => {
		const id = await idOf({ currency: "BHD", budget: 1 });
		const orders = spend(id, 0.333, 0.333, 0.334, 0.001);
		expect(await redeem(...orders)).toEqual([done, done, done, usedUp(id)]);
		expect(await get(id)).toMatchObject({ used: 3, spent: 1, is_exhausted: true });
	});

	test("that a discount exceeds is exhausted until an order returns a part of it", async () => {
		const id = await idOf({ budget: 10 });
		const [first, large, small, last] = spend(id, 6, 5, 3, 1);
		expect(await redeem(first!)).toEqual([done]);
		expect(await get(id)).toMatchObject({ is_exhausted: false });
		expect(await redeem(large!, small!)).toEqual([usedUp(id), done]);
		expect(await get(id)).toMatchObject({ used: 2, spent: 9, is_exhausted: true });
		// Orders that were priced before can use the rest.
		expect(await redeem(last!)).toEqual([done]);
		await release(small!);
		expect(await get(id)).toMatchObject({ spent: 7, is_exhausted: false });
		expect(await redeem(large!)).toEqual([usedUp(id)]);
		expect(await get(id)).toMatchObject({ is_exhausted: true });
		expect(await update(id, { budget: 12 })).toMatchObject({ is_exhausted: false });
		expect(await redeem(large!)).toEqual([done]);
	});

	test("is not exhausted by a discount that is larger than the whole budget", async () => {
		const id = await idOf({ budget: 10 });
		const [large, small, ...others] = spend(id, 10.01, 1, 9, 10.01);
		expect(await redeem(large!)).toEqual([usedUp(id)]);
		expect(await redeem(small!, large!)).toEqual([done, usedUp(id)]);
		expect(await get(id)).toMatchObject({ spent: 1, is_exhausted: false });
		expect(await redeem(...others)).toEqual([done, usedUp(id)]);
	});

	test("and uses of more than its limits remain with the orders that have them", async () => {
		const id = await idOf();
		const orders = spend(id, 5, 5, 5);
		await redeem(...orders);
		await update(id, { budget: 8, usage_limit: 2 });
		expect(await get(id)).toMatchObject({ used: 3, spent: 15, is_exhausted: true });
		await release(orders[0]!);
		expect(await redeem(newOrder([id]))).toEqual([usedUp(id)]);
		await release(orders[1]!);
		expect(await get(id)).toMatchObject({ used: 1, spent: 5, is_exhausted: false });
		expect(await redeem(...spend(id, 4, 3))).toEqual([usedUp(id), done]);
	});
});

describe("a limit per customer", () => {
	test("applies within a batch and between batches", async () => {
		const id = await idOf({ usage_limit_per_customer: 2 });
		const customer = uuid();
		const own = times(4, () => newOrder([id], { customer }));
		const other = newOrder([id]);
		expect(await redeem(own[0]!)).toEqual([done]);
		expect(await redeem(own[1]!, other, own[2]!)).toEqual([done, done, usedUp(id)]);
		expect(await redeem(own[3]!)).toEqual([usedUp(id)]);
		expect(await get(id)).toMatchObject({ used: 3, is_exhausted: false });
		await release(own[0]!);
		expect(await redeem(own[3]!, own[2]!)).toEqual([done, usedUp(id)]);
	});

	test("is one for a promotion for first orders", async () => {
		const id = await idOf({ conditions: { first_order: true }, usage_limit_per_customer: 5 });
		const customer = "guest@example.com";
		const [first, second] = times(2, () => newOrder([id], { customer }));
		expect(await redeem(first!, second!)).toEqual([done, usedUp(id)]);
		await release(first!);
		expect(await redeem(second!)).toEqual([done]);
	});

	test("equals the limit that pricing applies", async () => {
		for (const first_order of [true, false, undefined])
			for (const usage_limit_per_customer of [null, 5]) {
				const conditions = first_order === undefined ? {} : { first_order };
				const promotion = await create({ conditions, usage_limit_per_customer });
				const [row] = await shop.databases.query<{ customer_limit: number | null }>(
					"promotions",
					"select customer_limit from promotions where id = $1",
					[promotion.id],
				);
				expect(row!.customer_limit).toBe(customerLimitOf(promotion));
			}
	});

	test("counts uses from before it was set", async () => {
		const id = await idOf();
		const customer = uuid();
		const [first, second, third] = times(3, () => newOrder([id], { customer }));
		await redeem(first!, second!);
		await update(id, { usage_limit_per_customer: 1 });
		expect(await redeem(third!)).toEqual([usedUp(id)]);
		await release(first!, second!);
		expect(await redeem(third!)).toEqual([done]);
	});
});

describe("a promotion that has changed since an order was priced", () => {
	test("is refused if it was deleted, with its code", async () => {
		const code = `C-${uuid()}`;
		const [id, other] = [await idOf({ code }), await idOf()];
		await remove(id);
		expect(await redeem(newOrder([other, id]), newOrder([other]))).toEqual([
			usedUp(id, code),
			done,
		]);
		const unknown = uuid();
		expect(await redeem(newOrder([unknown]))).toEqual([usedUp(unknown)]);
		expect(await get(other)).toMatchObject({ used: 1 });
	});

	test("is redeemed as priced if it has another effect or has ended", async () => {
		const id = await idOf();
		await update(id, { effect: { type: "free_shipping" }, ends_at: "2020-01-01T00:00:00Z" });
		expect(await redeem(newOrder([id]))).toEqual([done]);
		expect(await get(id)).toMatchObject({ used: 1, spent: 5 });
	});
});

test("releases an order once and rejects a later redemption", async () => {
	const id = await idOf({ usage_limit: 2 });
	const [order, other] = times(2, () => newOrder([id]));
	await redeem(order!, other!);
	expect(await release(order!, order!)).toEqual([done, done]);
	expect(await Promise.all(times(3, () => release(order!)))).toEqual([[done], [done], [done]]);
	expect(await get(id)).toMatchObject({ used: 1, spent: 5, is_exhausted: false });
	expect(await redeem(order!, newOrder([id]))).toEqual([released, done]);
	expect((await eventsOf(order!.order_id)).map(({ type }) => type)).toEqual([
		"promotion.redeemed",
		"promotion.released",
	]);
});

test("a release before the redemption leaves a tombstone, without events", async () => {
	const id = await idOf({ usage_limit: 1 });
	const order = newOrder([id]);
	expect(await release(order)).toEqual([done]);
	expect(await redeem(order, newOrder([id]))).toEqual([released, done]);
	expect(await release(order)).toEqual([done]);
	expect(await get(id)).toMatchObject({ used: 1 });
	expect(await eventsOf(order.order_id)).toEqual([]);
});

test("the audit pages contain redemptions and tombstones in order of order IDs", async () => {
	const id = await idOf();
	const [redeemed, returned, tombstone] = times(3, () => newOrder([id]));
	await redeem(redeemed!, returned!);
	await release(returned!, tombstone!);
	const page = (after: string, upto: string | null, limit: number) =>
		shop.call("promotions.auditRedemptions", { after, upto, limit });
	const all = [
		{ order_id: redeemed!.order_id, status: "redeemed", uses: redeemed!.uses },
		{ order_id: returned!.order_id, status: "released", uses: returned!.uses },
		{ order_id: tombstone!.order_id, status: "released", uses: [] },
	];
	const before = `${redeemed!.order_id.slice(0, -12)}000000000000`;
	expect(await page(before, tombstone!.order_id, 10)).toEqual(all);
	expect(await page(before, null, 2)).toEqual(all.slice(0, 2));
	expect(await page(redeemed!.order_id, returned!.order_id, 10)).toEqual([all[1]]);
});
