import { afterAll, beforeAll, beforeEach, expect, test } from "@jest/globals";
import { eventually } from "../../test/support/eventually.ts";
import { type Shop, startShop, stub } from "../../test/support/shop.ts";
import { orders } from "../orders/orders.contract.ts";
import type { OrderOutcome } from "../orders/orders.queries.ts";
import { newOrder, promotionsOf } from "./test/commands.ts";

/** Status of each order, and the number of requests for it. */
let statuses: Map<string, OrderOutcome>;
let requests: Map<string, number>;
let isAvailable: boolean;
let beforeResponse: (ids: string[]) => Promise<void> | undefined;
let shop: Shop;
beforeAll(async () => {
	const ordersStub = stub(orders, {
		outcomes: async ({ params: { order_ids } }) => {
			for (const id of order_ids) requests.set(id, (requests.get(id) ?? 0) + 1);
			if (!isAvailable) throw new Error("The orders service is unavailable");
			const result = order_ids.map((id) => statuses.get(id) ?? "unknown");
			await beforeResponse(order_ids);
			return result;
		},
	});
	shop = await startShop({
		services: ["promotions"],
		stubs: [ordersStub],
		env: { RESERVATION_SECONDS: "1" },
	});
});
const { create, get, redeem, expectConsistentCounters } = promotionsOf(() => shop);
afterAll(() => shop?.stop());
beforeEach(() => {
	[statuses, requests, isAvailable] = [new Map(), new Map(), true];
	beforeResponse = () => undefined;
});

/** Redeems the only use of a promotion for an order. */
async function redeemOrder(status: OrderOutcome) {
	const { id } = await create({ usage_limit: 1 });
	const order = newOrder([id]);
	statuses.set(order.order_id, status);
	expect(await redeem(order)).toEqual([{ status: "done" }]);
	return { order, used: async () => (await get(id)).used };
}
const waitForRequests = (id: string, times: number) =>
	eventually(() => expect(requests.get(id) ?? 0).toBeGreaterThanOrEqual(times));

test.each(["cancelled", "unknown"] as const)(
	"returns the uses of an order that is %s and rejects a late redemption",
	async (status) => {
		const { order, used } = await redeemOrder(status);
		await eventually(async () => expect(await used()).toBe(0));
		expect(await redeem(order)).toEqual([{ status: "refused", code: "RELEASED" }]);
		await expectConsistentCounters();
	},
);

test("an open order keeps its uses through repeated expiry until it is cancelled", async () => {
	const { order, used } = await redeemOrder("open");
	await waitForRequests(order.order_id, 2);
	expect(await used()).toBe(1);
	statuses.set(order.order_id, "cancelled");
	await eventually(async () => expect(await used()).toBe(0));
});

test("a confirmed order keeps its uses and is not checked again", async () => {
	const { order, used } = await redeemOrder("confirmed");
	await waitForRequests(order.order_id, 1);
	const other = await redeemOrder("open");
	await waitForRequests(other.order.order_id, 2);
	expect([requests.get(order.order_id), await used()]).toEqual([1, 1]);
});

test("an order whose step is repeated during the check keeps its uses", async () => {
	const { order, used } = await redeemOrder("unknown");
	beforeResponse = async (ids) => {
		if (!ids.includes(order.order_id)) return;
		beforeResponse = () => undefined;
		expect(await redeem(order)).toEqual([{ status: "done" }]);
		statuses.set(order.order_id, "open");
	};
	await waitForRequests(order.order_id, 2);
	expect(await used()).toBe(1);
	await expectConsistentCounters();
});

test("releases nothing while the orders service is unavailable, and releases later", async () => {
	isAvailable = false;
	const { order, used } = await redeemOrder("unknown");
	await waitForRequests(order.order_id, 1);
	expect(await used()).toBe(1);
	isAvailable = true;
	await eventually(async () => expect(await used()).toBe(0));
});
