import { afterAll, afterEach, beforeAll, describe, expect, test } from "@jest/globals";
import fc from "fast-check";
import { v7 as uuid } from "uuid";
import type { Outcome } from "../../lib/contracts/outcome.ts";
import type { HasDatabase } from "../../mixins/database.mixin.ts";
import { eventually } from "../../test/support/eventually.ts";
import { callWhileLocked } from "../../test/support/lock-waits.ts";
import { type Shop, startShop } from "../../test/support/shop.ts";
import { countOutcomes, newOrder, type Order, promotionsOf, times } from "./test/commands.ts";
import { startNodes } from "./test/nodes.ts";

let shop: Shop;
let nodes: ReturnType<typeof startNodes>;
beforeAll(async () => {
	shop = await startShop({ services: ["promotions"] });
	nodes = startNodes(shop, 3);
});
const { create, update, remove, get, expectConsistentCounters } = promotionsOf(() => shop);
afterEach(expectConsistentCounters);
afterAll(async () => {
	await nodes?.stop();
	await shop?.stop();
});

const idOf = async (fields: object = {}) => (await create({ code: uuid(), ...fields })).id;
/**
 * Redeems a batch on the next node. On a busy machine, a call may find no connection in time; it is
 * repeated, as an order's saga does.
 */
const redeem = (...orders: Order[]) => eventually(() => nodes.redeem(...orders));
const release = (...orders: Order[]) => eventually(() => nodes.release(...orders));
/** Redeems each order in its own call, concurrently and on all nodes. */
const redeemEach = (orders: Order[]) => Promise.all(orders.map((order) => redeem(order)));
const releaseEach = (orders: Order[]) => Promise.all(orders.map((order) => release(order)));
const withOutcome = (orders: Order[], outcomes: Outcome[][], status: Outcome["status"]) =>
	orders.filter((_, i) => outcomes[i]![0]!.status === status);

describe("200 concurrent orders, then 30 releases, then 200 orders", () => {
	const cases: [string, object, (i: number) => Partial<Order>][] = [
		["uses", { usage_limit: 100 }, () => ({})],
		["a budget", { budget: 500 }, () => ({})],
		[
			"uses per customer",
			{ usage_limit_per_customer: 1 },
			(i) => ({ customer: `customer ${Math.floor(i / 2)}` }),
		],
	];
	test.each(cases)(
		"take exactly 100, and then exactly 30 more of %s",
		async (_, limits, orderOf) => {
			const id = await idOf(limits);
			const orders = times(200, (i) => newOrder([id], orderOf(i)));
			const outcomes = await redeemEach(orders);
			expect([countOutcomes(outcomes, "done"), countOutcomes(outcomes, "refused")]).toEqual([
				100, 100,
			]);
			expect(await get(id)).toMatchObject({ used: 100, spent: 500 });

			const returned = withOutcome(orders, outcomes, "done").slice(0, 30);
			await Promise.all([releaseEach(returned), releaseEach(returned)]);
			expect(await get(id)).toMatchObject({ used: 70, spent: 350 });
			const later = await redeemEach(times(200, (i) => newOrder([id], orderOf(i))));
			expect(countOutcomes(later, "done")).toBe(30);
			expect(await get(id)).toMatchObject({ used: 100, spent: 500 });
		},
	);
});

test("concurrent batches take uses and budget to the limit and no further", async () => {
	const id = await idOf({ usage_limit: 60, budget: 100 });
	const batches = times(20, (i) =>
		times(5, () => newOrder([id], { uses: [{ promotion_id: id, amount: 1 + (i % 3) }] })),
	);
	await Promise.all(batches.map((batch) => redeem(...batch)));
	const { used, spent, is_exhausted } = await get(id);
	// The largest discount is 3.
	expect([used === 60 || (spent > 97 && spent <= 100), is_exhausted]).toEqual([true, true]);
});

test("two devices of a customer redeem a promotion once, in any batches", async () => {
	const [id, other] = [
		await idOf({ conditions: { first_order: true } }),
		await idOf({ usage_limit_per_customer: 1 }),
	];
	for (let round = 0; round < 20; round++) {
		const customer = `${uuid()}@example.com`;
		const [first, second] = [newOrder([id, other], { customer }), newOrder([id], { customer })];
		const both = await Promise.all([
			redeem(first, newOrder([other])),
			redeem(newOrder([other]), second),
		]);
		expect([both[0]![0]!.status, both[1]![1]!.status].sort()).toEqual(["done", "refused"]);
		expect([both[0]![1]!.status, both[1]![0]!.status]).toEqual(["done", "done"]);
	}
});

test("orders with several promotions in opposite order finish without deadlock", async () => {
	const ids = [await idOf(), await idOf({ usage_limit: 45 }), await idOf({ budget: 400 })];
	const permutations = [
		[0, 1, 2],
		[2, 1, 0],
		[1, 2],
		[2, 0],
	].map((indexes) => indexes.map((i) => ids[i]!));
	const batches = times(40, (i) =>
		times(3, (j) => newOrder(permutations[(i + j) % permutations.length]!)),
	);
	const outcomes = await Promise.all(
		batches.flatMap((batch, i) => [
			redeem(...batch),
			...(i % 4 === 0 ? [release(...batch.toReversed())] : []),
		]),
	);
	expect(countOutcomes(outcomes, "pending")).toBe(0);
});

test("concurrent redemptions of one order take its uses once", async () => {
	const [a, b] = [await idOf({ usage_limit: 3 }), await idOf({ usage_limit: 30 })];
	const own = newOrder([a, b]);
	const outcomes = await Promise.all(
		times(30, (i) => redeem(...(i % 2 ? [own, newOrder([b])] : [own]))),
	);
	for (const [first] of outcomes) expect(first).toEqual({ status: "done" });
	expect(await get(a)).toMatchObject({ used: 1 });
	expect(await get(b)).toMatchObject({ used: 16 });
});

test("concurrent redeem and release end without uses or pending outcomes", async () => {
	const [a, b] = [await idOf(), await idOf({ usage_limit_per_customer: 20 })];
	const customer = uuid();
	const own = times(20, (i) => newOrder(i % 2 ? [a, b] : [b, a], { customer }));
	const both = await Promise.all(
		times(10, (i) => [redeem(...own), release(...(i % 2 ? own : own.toReversed()))]).flat(),
	);
	expect(countOutcomes(both, "pending")).toBe(0);
	expect(countOutcomes([await release(...own)], "done")).toBe(20);
	for (const id of [a, b]) expect(await get(id)).toMatchObject({ used: 0, spent: 0 });
});

test("a redemption that waits for a promotion decides by the limit set meanwhile", async () => {
	for (const [before, after, expected] of [
		[1, 2, "done"],
		[2, 1, "refused"],
	] as const) {
		const id = await idOf({ usage_limit: before });
		const { db } = shop.broker.getLocalService("promotions") as unknown as HasDatabase;
		const outcomes = await callWhileLocked(
			db,
			(tx) => tx.query("update promotions set usage_limit = $1 where id = $2", [after, id]),
			() => nodes.redeem(newOrder([id]), newOrder([id])),
		);
		expect(outcomes.map(({ status }) => status)).toEqual(["done", expected]);
	}
});

test("changes during redemptions keep limits and cached results current", async () => {
	for (let round = 0; round < 5; round++) {
		const code = `C-${uuid()}`;
		const id = await idOf({ code, usage_limit: 20 });
		const orders = times(30, () => newOrder([id]));
		await Promise.all([
			...orders.map((order) => redeem(order)),
			...times(10, () => shop.call("promotions.resolve", { codes: [code] })),
			update(id, { usage_limit: 10 + round }),
			...orders.slice(0, 10).map((order) => release(order)),
		]);
		const { is_exhausted } = await get(id);
		const [resolved] = await shop.call("promotions.resolve", { codes: [code] });
		expect(resolved).toMatchObject({ is_exhausted, usage_limit: 10 + round });
		// Uses above the new limit are from before the change.
		await nodes.release(...orders);
		const [, outcomes] = await Promise.all([
			remove(id),
			redeemEach(times(5, () => newOrder([id]))),
		]);
		expect(countOutcomes(outcomes, "pending")).toBe(0);
		expect(await nodes.redeem(newOrder([id]))).toMatchObject([{ status: "refused" }]);
		expect(await shop.call("promotions.resolve", { codes: [code] })).toEqual([null]);
	}
});

test("any interleaving of commands keeps the counters consistent", async () => {
	const step = fc.record({
		command: fc.constantFrom("redeem", "redeem", "release" as const),
		orders: fc.array(fc.nat(11), { minLength: 1, maxLength: 6 }),
		wait: fc.boolean(),
	});
	const contents = fc.array(
		fc.record({
			customer: fc.constantFrom("a", "b", "c"),
			uses: fc.array(fc.record({ promotion: fc.nat(3), cents: fc.integer({ min: 0, max: 400 }) }), {
				minLength: 1,
				maxLength: 4,
			}),
		}),
		{ minLength: 12, maxLength: 12 },
	);
	await fc.assert(
		fc.asyncProperty(
			contents,
			fc.array(step, { minLength: 1, maxLength: 30 }),
			async (orders, steps) => {
				const ids = [
					await idOf({ usage_limit: 3 }),
					await idOf({ budget: 7 }),
					await idOf({ usage_limit_per_customer: 1 }),
					await idOf(),
				];
				const all = orders.map(({ customer, uses }) =>
					newOrder([], {
						customer,
						uses: uses.map(({ promotion, cents }) => ({
							promotion_id: ids[promotion]!,
							amount: cents / 100,
						})),
					}),
				);
				const running: Promise<Outcome[]>[] = [];
				for (const { command, orders, wait } of steps) {
					running.push(nodes[command](...orders.map((i) => all[i]!)));
					if (wait) await running.at(-1);
				}
				expect(countOutcomes(await Promise.all(running), "pending")).toBe(0);
				await expectConsistentCounters();
				expect(countOutcomes([await nodes.release(...all)], "done")).toBe(12);
				for (const id of ids)
					expect(await get(id)).toMatchObject({ used: 0, spent: 0, is_exhausted: false });
			},
		),
		{ numRuns: 40 },
	);
});
