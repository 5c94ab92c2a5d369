import { afterAll, afterEach, beforeAll, expect, test } from "@jest/globals";
import fc from "fast-check";
import { v7 as uuid } from "uuid";
import type { Event } from "../../lib/contracts/event.ts";
import type { Outcome } from "../../lib/contracts/outcome.ts";
import { type ConsumerGroup, inProcessTransport } from "../../lib/messaging/event-transport.ts";
import type { HasDatabase } from "../../mixins/database.mixin.ts";
import { eventually } from "../../test/support/eventually.ts";
import { callWhileLocked } from "../../test/support/lock-waits.ts";
import { admin, type Shop, startShop } from "../../test/support/shop.ts";
import { inventoryOf, type Order } from "./test/stock.ts";

let shop: Shop;
let group: ConsumerGroup;
beforeAll(async () => {
	shop = await startShop({ services: ["inventory"], env: { DATABASE_POOL: "15" } });
	inProcessTransport(shop.broker).offer({
		types: ["order.shipped"],
		attach(joined) {
			group = joined;
			return { stop: async () => {} };
		},
	});
});
afterEach(expectConsistentStock);
afterAll(() => shop?.stop());

const { createProduct, reserve, release, stock } = inventoryOf(() => shop);
const newOrder = (...products: string[]): Order => ({
	order_id: uuid(),
	items: products.map((product_id) => ({ product_id, quantity: 1 })),
});
const count = (outcomes: Outcome[][], status: Outcome["status"]) =>
	outcomes.flat().filter((outcome) => outcome.status === status).length;
const times = <T>(n: number, make: (i: number) => T): T[] =>
	Array.from({ length: n }, (_, i) => make(i));

/** One `order.shipped` event per order. */
const shippedEvents = (...orders: Order[]): Event[] =>
	orders.map(({ order_id }) => ({
		specversion: "1.0",
		id: uuid(),
		source: "/orders",
		type: "order.shipped",
		subject: order_id,
		time: new Date().toISOString(),
		datacontenttype: "application/json",
		data: { order_id, user_id: admin!.id, total_amount: 1, currency: "EUR" },
		sequence: "0",
	}));

/**
 * Expects `reserved` to equal the quantity in open reservations and not to exceed `on_hand`, and no
 * failed events.
 */
async function expectConsistentStock(): Promise<void> {
	const wrong = await shop.databases.query(
		"inventory",
		`select product_id, on_hand, reserved, held from stock left join (
			select product_id, sum(quantity) as held
			from reservations, unnest(product_ids, quantities) as line (product_id, quantity)
			where status = 'held' group by product_id) h using (product_id)
		where reserved <> coalesce(held, 0) or on_hand < reserved or reserved < 0`,
	);
	expect(wrong).toEqual([]);
	expect(await shop.databases.query("inventory", "select errors from retries")).toEqual([]);
}

test("exactly 20 of 50 concurrent orders reserve one of 20 items", async () => {
	const a = await createProduct(20);
	const outcomes = await Promise.all(times(50, () => reserve(newOrder(a))));
	expect([count(outcomes, "done"), count(outcomes, "refused")]).toEqual([20, 30]);
	expect(await stock(a)).toMatchObject({ reserved: 20, available: 0 });
});

test("batches with the same products in opposite order finish with all lines or none", async () => {
	const [a, b] = [await createProduct(1000), await createProduct(45)];
	const batches = times(40, (i) =>
		i % 2 ? [newOrder(a, b), newOrder(a)] : [newOrder(b), newOrder(b, a)],
	);
	const outcomes = await Promise.all(batches.map((batch) => reserve(...batch)));
	const granted = batches.flatMap((batch, i) =>
		batch.filter((_, j) => outcomes[i]![j]!.status === "done"),
	);
	const reservedQuantity = (product: string) =>
		granted.flatMap(({ items }) => items).filter(({ product_id }) => product_id === product).length;
	expect([(await stock(a)).reserved, (await stock(b)).reserved]).toEqual([reservedQuantity(a), 45]);
	expect([count(outcomes, "pending"), reservedQuantity(b)]).toEqual([0, 45]);
});

test("concurrent reservations of one order hold its stock once", async () => {
	const [a, b] = [await createProduct(3), await createProduct(3)];
	const own = newOrder(a, b);
	const outcomes = await Promise.all(
		times(30, (i) => reserve(...(i % 2 ? [own, newOrder(b)] : [own]))),
	);
	for (const [first] of outcomes) expect(first).toEqual({ status: "done" });
	expect((await stock(a)).reserved).toBe(1);
});

test("concurrent reserve and release end without held stock or pending outcomes", async () => {
	const [a, b] = [await createProduct(1000), await createProduct(1000)];
	const own = times(20, (i) => (i % 2 ? newOrder(a, b) : newOrder(b, a)));
	const both = await Promise.all(
		times(10, (i) => [reserve(...own), release(...(i % 2 ? own : own.toReversed()))]).flat(),
	);
	expect(count(both, "pending")).toBe(0);
	expect(count([await release(...own)], "done")).toBe(20);
	expect([(await stock(a)).reserved, (await stock(b)).reserved]).toEqual([0, 0]);
});

test("a reserve that waits for a stock lock uses the stock added meanwhile", async () => {
	const a = await createProduct(1);
	const { db } = shop.broker.getLocalService("inventory") as unknown as HasDatabase;
	const outcomes = await callWhileLocked(
		db,
		(tx) => tx.query("update stock set on_hand = 10 where product_id = $1", [a]),
		() => reserve(newOrder(a, a)),
	);
	expect(outcomes).toEqual([{ status: "done" }]);
	expect(await stock(a)).toMatchObject({ on_hand: 10, reserved: 2 });
});

test("applies every one of several concurrent adjustments", async () => {
	const a = await createProduct(100);
	const adjust = (delta: number) =>
		shop
			.call(
				"inventory.adjust",
				{ product_id: a, delta, reason: "count" },
				{ meta: { user: admin } },
			)
			.catch(() => null);
	await Promise.all([
		...times(30, (i) => adjust(i % 2 ? 2 : -1)),
		...times(10, () => reserve(newOrder(a))),
	]);
	expect(await stock(a)).toMatchObject({ on_hand: 115, reserved: 10 });
	const decreases = await Promise.all(times(30, () => adjust(-7)));
	expect(decreases.filter(Boolean)).toHaveLength(15);
	expect(await stock(a)).toMatchObject({ on_hand: 10, available: 0 });
});

test("redelivered order.shipped events fulfill an order once", async () => {
	const a = await createProduct(10);
	const [own, other, unreserved] = [newOrder(a, a), newOrder(a), newOrder(a)];
	await reserve(own, other);
	const events = shippedEvents(own, unreserved);
	await Promise.all([
		group.deliver(events),
		group.deliver(events),
		group.deliver(shippedEvents(own)),
	]);
	await eventually(async () => expect(await stock(a)).toMatchObject({ on_hand: 8, reserved: 1 }));
	expect(await release(own, other)).toEqual([
		{ status: "refused", code: "FULFILLED" },
		{ status: "done" },
	]);
	expect(await reserve(own)).toEqual([{ status: "done" }]);
	expect(await stock(a)).toMatchObject({ on_hand: 8, reserved: 0 });
});

test("any interleaving of commands keeps the stock consistent", async () => {
	const step = fc.record({
		command: fc.constantFrom("reserve", "reserve", "release", "ship" as const),
		orders: fc.array(fc.nat(11), { minLength: 1, maxLength: 6 }),
		wait: fc.boolean(),
	});
	const lines = fc.array(
		fc.record({ product: fc.nat(2), quantity: fc.integer({ min: 1, max: 4 }) }),
		{ minLength: 1, maxLength: 4 },
	);
	const carts = fc.array(lines, { minLength: 12, maxLength: 12 });
	const run = {
		reserve: (chosen: Order[]) => reserve(...chosen),
		release: (chosen: Order[]) => release(...chosen),
		ship: (chosen: Order[]) => group.deliver(shippedEvents(...chosen)).then(() => undefined),
	};
	await fc.assert(
		fc.asyncProperty(
			carts,
			fc.array(step, { minLength: 1, maxLength: 30 }),
			async (contents, steps) => {
				const products = await Promise.all([
					createProduct(4),
					createProduct(6),
					createProduct(1000),
				]);
				const all = contents.map((cart) => ({
					order_id: uuid(),
					items: cart.map((line) => ({
						product_id: products[line.product]!,
						quantity: line.quantity,
					})),
				}));
				const running: Promise<Outcome[] | undefined>[] = [];
				for (const { command, orders, wait } of steps) {
					const chosen = orders.map((i) => all[i]!);
					running.push(run[command](chosen));
					if (wait) await running.at(-1);
				}
				for (const outcomes of await Promise.all(running))
					for (const outcome of outcomes ?? []) expect(outcome.status).not.toBe("pending");
				await expectConsistentStock();
				expect(count([await release(...all)], "pending")).toBe(0);
				for (const product_id of products)
					expect(await stock(product_id)).toMatchObject({ reserved: 0 });
			},
		),
		{ numRuns: 40 },
	);
});
