import { afterAll, afterEach, beforeAll, expect, test } from "@jest/globals";
import fc from "fast-check";
import { v7 as uuid } from "uuid";
import type { Event } from "../../lib/contracts/event.ts";
import type { Outcome } from "../../lib/contracts/outcome.ts";
import { type ConsumerGroup, inProcessTransport } from "../../lib/messaging/event-transport.ts";
import { eventually } from "../../test/support/eventually.ts";
import { admin, type Shop, startShop } from "../../test/support/shop.ts";
import "./inventory.contract.ts";

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
afterEach(expectBooksToBalance);
afterAll(() => shop?.stop());

async function product(on_hand: number): Promise<string> {
	const product_id = uuid();
	await shop.call("inventory.open", { product_id, on_hand });
	return product_id;
}
type Order = { order_id: string; items: { product_id: string; quantity: number }[] };
const order = (...products: string[]): Order => ({
	order_id: uuid(),
	items: products.map((product_id) => ({ product_id, quantity: 1 })),
});
const reserve = (...orders: Order[]) => shop.call("inventory.reserve", { orders });
const release = (...orders: Order[]) =>
	shop.call("inventory.release", { orders: orders.map(({ order_id }) => ({ order_id })) });
const stock = (product_id: string) => shop.call("inventory.get", { product_id });
const count = (answers: Outcome[][], status: Outcome["status"]) =>
	answers.flat().filter((one) => one.status === status).length;
const times = <T>(n: number, make: (i: number) => T): T[] =>
	Array.from({ length: n }, (_, i) => make(i));

/** Orders tells that these were shipped, once, as far as it is concerned. */
const shipped = (...orders: Order[]): Event[] =>
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

/** What is reserved of a product is what open reservations hold of it, never more than is there, and no event had to be tried twice. */
async function expectBooksToBalance(): Promise<void> {
	const wrong = await shop.databases.query(
		"inventory",
		`select product_id, on_hand, reserved, held from stock left join (
			select product_id, sum(quantity) as held from reservations, unnest(product_ids, quantities) as line (product_id, quantity)
			where status = 'held' group by product_id) h using (product_id)
		where reserved <> coalesce(held, 0) or on_hand < reserved or reserved < 0`,
	);
	expect(wrong).toEqual([]);
	expect(await shop.databases.query("inventory", "select errors from retries")).toEqual([]);
}

test("of 50 who want one of 20 at the same time exactly 20 get one", async () => {
	const a = await product(20);
	const answers = await Promise.all(times(50, () => reserve(order(a))));
	expect([count(answers, "done"), count(answers, "refused")]).toEqual([20, 30]);
	expect(await stock(a)).toMatchObject({ reserved: 20, available: 0 });
});

test("orders and batches that want the same products in opposite order all end, with all lines or none", async () => {
	const [a, b] = [await product(1000), await product(45)];
	const batches = times(40, (i) => (i % 2 ? [order(a, b), order(a)] : [order(b), order(b, a)]));
	const answers = await Promise.all(batches.map((batch) => reserve(...batch)));
	const served = batches.flatMap((batch, i) =>
		batch.filter((_, j) => answers[i]![j]!.status === "done"),
	);
	const sold = (product: string) =>
		served.flatMap(({ items }) => items).filter(({ product_id }) => product_id === product).length;
	expect([(await stock(a)).reserved, (await stock(b)).reserved]).toEqual([sold(a), 45]);
	expect([count(answers, "pending"), sold(b)]).toEqual([0, 45]);
});

test("the same order, reserved from everywhere at once, holds once", async () => {
	const [a, b] = [await product(3), await product(3)];
	const mine = order(a, b);
	const answers = await Promise.all(
		times(30, (i) => reserve(...(i % 2 ? [mine, order(b)] : [mine]))),
	);
	for (const [first] of answers) expect(first).toEqual({ status: "done" });
	expect((await stock(a)).reserved).toBe(1);
});

test("reserve and release of the same orders at once end with nothing held, and nobody is left in doubt", async () => {
	const [a, b] = [await product(1000), await product(1000)];
	const mine = times(20, (i) => (i % 2 ? order(a, b) : order(b, a)));
	const both = await Promise.all(
		times(10, (i) => [reserve(...mine), release(...(i % 2 ? mine : mine.toReversed()))]).flat(),
	);
	expect(count(both, "pending")).toBe(0);
	expect(count([await release(...mine)], "done")).toBe(20);
	expect([(await stock(a)).reserved, (await stock(b)).reserved]).toEqual([0, 0]);
});

test("stock that arrives while a reserve waits for the books is given to it", async () => {
	const a = await product(1);
	const delivery = shop.databases.query(
		"inventory",
		`begin; update stock set on_hand = 10 where product_id = '${a}'; select pg_sleep(0.2); commit`,
	);
	await eventually(async () => {
		const [asleep] = await shop.databases.query(
			"inventory",
			"select from pg_stat_activity where wait_event = 'PgSleep' and query like $1",
			[`%${a}%`],
		);
		expect(asleep).toBeDefined();
	});
	expect(await reserve(order(a, a))).toEqual([{ status: "done" }]);
	await delivery;
	expect(await stock(a)).toMatchObject({ on_hand: 10, reserved: 2 });
});

test("adjustments made at the same time are all counted", async () => {
	const a = await product(100);
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
		...times(10, () => reserve(order(a))),
	]);
	expect(await stock(a)).toMatchObject({ on_hand: 115, reserved: 10 });
	const fall = await Promise.all(times(30, () => adjust(-7)));
	expect(fall.filter(Boolean)).toHaveLength(15);
	expect(await stock(a)).toMatchObject({ on_hand: 10, available: 0 });
});

test("what was shipped leaves the house once, however often it is told, and cannot be given back", async () => {
	const a = await product(10);
	const [mine, other, never] = [order(a, a), order(a), order(a)];
	await reserve(mine, other);
	const told = shipped(mine, never);
	await Promise.all([group.deliver(told), group.deliver(told), group.deliver(shipped(mine))]);
	await eventually(async () => expect(await stock(a)).toMatchObject({ on_hand: 8, reserved: 1 }));
	expect(await release(mine, other)).toEqual([
		{ status: "refused", code: "FULFILLED" },
		{ status: "done" },
	]);
	expect(await reserve(mine)).toEqual([{ status: "done" }]);
	expect(await stock(a)).toMatchObject({ on_hand: 8, reserved: 0 });
});

test("whatever comes in whatever order, all at once or one after the other, the books balance and nothing is left in doubt", async () => {
	const step = fc.record({
		what: fc.constantFrom("reserve", "reserve", "release", "ship" as const),
		orders: fc.array(fc.nat(11), { minLength: 1, maxLength: 6 }),
		wait: fc.boolean(),
	});
	const lines = fc.array(
		fc.record({ product: fc.nat(2), quantity: fc.integer({ min: 1, max: 4 }) }),
		{ minLength: 1, maxLength: 4 },
	);
	const carts = fc.array(lines, { minLength: 12, maxLength: 12 });
	const act = {
		reserve: (chosen: Order[]) => reserve(...chosen),
		release: (chosen: Order[]) => release(...chosen),
		ship: (chosen: Order[]) => group.deliver(shipped(...chosen)).then(() => undefined),
	};
	await fc.assert(
		fc.asyncProperty(
			carts,
			fc.array(step, { minLength: 1, maxLength: 30 }),
			async (contents, steps) => {
				const products = await Promise.all([product(4), product(6), product(1000)]);
				const all = contents.map((cart) => ({
					order_id: uuid(),
					items: cart.map((line) => ({
						product_id: products[line.product]!,
						quantity: line.quantity,
					})),
				}));
				const running: Promise<Outcome[] | undefined>[] = [];
				for (const { what, orders, wait } of steps) {
					const chosen = orders.map((i) => all[i]!);
					running.push(act[what](chosen));
					if (wait) await running.at(-1);
				}
				for (const outcomes of await Promise.all(running))
					for (const outcome of outcomes ?? []) expect(outcome.status).not.toBe("pending");
				await expectBooksToBalance();
				expect(count([await release(...all)], "pending")).toBe(0);
				for (const product_id of products)
					expect(await stock(product_id)).toMatchObject({ reserved: 0 });
			},
		),
		{ numRuns: 40 },
	);
});
