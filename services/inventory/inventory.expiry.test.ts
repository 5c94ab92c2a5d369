import { afterAll, beforeAll, beforeEach, expect, test } from "@jest/globals";
import { v7 as uuid } from "uuid";
import { eventually } from "../../test/support/eventually.ts";
import { type Shop, startShop, stub } from "../../test/support/shop.ts";
import { orders } from "../orders/orders.contract.ts";
import type { OrderOutcome } from "../orders/saga/store.ts";
import "./inventory.contract.ts";

/** What orders answers, and how often each was asked after. */
let fates: Map<string, OrderOutcome>;
let asked: Map<string, number>;
let answer: (ids: string[]) => Promise<void> | undefined;
let shop: Shop;
beforeAll(async () => {
	const answering = stub(orders, {
		fates: async ({ params: { order_ids } }) => {
			const now = order_ids.map((id) => fates.get(id) ?? "unknown");
			for (const id of order_ids) asked.set(id, (asked.get(id) ?? 0) + 1);
			await answer(order_ids);
			return now;
		},
	});
	shop = await startShop({
		services: ["inventory"],
		stubs: [answering],
		env: { RESERVATION_SECONDS: "1" },
	});
});
afterAll(() => shop?.stop());
beforeEach(() => {
	[fates, asked, answer] = [new Map(), new Map(), () => undefined];
});

/** An order that holds two pieces out of five. */
async function hold(fate: OrderOutcome) {
	const [order_id, product_id] = [uuid(), uuid()];
	fates.set(order_id, fate);
	await shop.call("inventory.open", { product_id, on_hand: 5 });
	const wish = { orders: [{ order_id, items: [{ product_id, quantity: 2 }] }] };
	expect(await shop.call("inventory.reserve", wish)).toEqual([{ status: "done" }]);
	return {
		order_id,
		wish,
		reserved: async () => (await shop.call("inventory.get", { product_id })).reserved,
	};
}
const timesAsked = (id: string, times: number) =>
	eventually(() => expect(asked.get(id) ?? 0).toBeGreaterThanOrEqual(times));

test.each(["cancelled", "unknown"] as const)(
	"the stock of an order that is %s comes back, and a late reserve is refused",
	async (fate) => {
		const { wish, reserved } = await hold(fate);
		await eventually(async () => expect(await reserved()).toBe(0));
		expect(await shop.call("inventory.reserve", wish)).toEqual([
			{ status: "refused", code: "RELEASED" },
		]);
	},
);

test("an order that is still open keeps its stock, however often it expires, until it comes to its end", async () => {
	const { order_id, reserved } = await hold("open");
	await timesAsked(order_id, 2);
	expect(await reserved()).toBe(2);
	fates.set(order_id, "cancelled");
	await eventually(async () => expect(await reserved()).toBe(0));
});

test("a confirmed order keeps its stock and is not asked after again", async () => {
	const { order_id, reserved } = await hold("confirmed");
	await timesAsked(order_id, 1);
	const [other] = [await hold("open")];
	await timesAsked(other.order_id, 2);
	expect([asked.get(order_id), await reserved()]).toEqual([1, 2]);
});

test("an order that is confirmed while it is asked after keeps its stock", async () => {
	const answering = Promise.withResolvers<void>();
	const { order_id, reserved } = await hold("open");
	answer = (ids) => (ids.includes(order_id) ? answering.promise : undefined);
	await timesAsked(order_id, 1);
	fates.set(order_id, "confirmed");
	answering.resolve();
	await timesAsked(order_id, 2);
	expect(await reserved()).toBe(2);
});

test("an order that is being shipped while it is asked after is not touched", async () => {
	const answering = Promise.withResolvers<void>();
	const { order_id, reserved } = await hold("confirmed");
	answer = (ids) => (ids.includes(order_id) ? answering.promise : undefined);
	await timesAsked(order_id, 1);
	await shop.databases.query(
		"inventory",
		"update reservations set status = 'fulfilled' where order_id = $1",
		[order_id],
	);
	answering.resolve();
	const later = await hold("cancelled");
	await eventually(async () => expect(await later.reserved()).toBe(0));
	expect(await reserved()).toBe(2);
});

test("while orders cannot answer nothing is given back, and afterwards it is", async () => {
	answer = () => Promise.reject(new Error("orders is away"));
	const { order_id, reserved } = await hold("unknown");
	await timesAsked(order_id, 1);
	expect(await reserved()).toBe(2);
	answer = () => undefined;
	await eventually(async () => expect(await reserved()).toBe(0));
});
