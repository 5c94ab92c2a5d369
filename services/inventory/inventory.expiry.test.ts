import { afterAll, beforeAll, beforeEach, expect, test } from "@jest/globals";
import { v7 as uuid } from "uuid";
import { eventually } from "../../test/support/eventually.ts";
import { type Shop, startShop, stub } from "../../test/support/shop.ts";
import { orders } from "../orders/orders.contract.ts";
import type { OrderOutcome } from "../orders/orders.queries.ts";
import "./inventory.contract.ts";

/** Status of each order, and the number of requests for it. */
let statuses: Map<string, OrderOutcome>;
let requests: Map<string, number>;
let beforeResponse: (ids: string[]) => Promise<void> | undefined;
let shop: Shop;
beforeAll(async () => {
	const ordersStub = stub(orders, {
		outcomes: async ({ params: { order_ids } }) => {
			const result = order_ids.map((id) => statuses.get(id) ?? "unknown");
			for (const id of order_ids) requests.set(id, (requests.get(id) ?? 0) + 1);
			await beforeResponse(order_ids);
			return result;
		},
	});
	shop = await startShop({
		services: ["inventory"],
		stubs: [ordersStub],
		env: { RESERVATION_SECONDS: "1" },
	});
});
afterAll(() => shop?.stop());
beforeEach(() => {
	[statuses, requests, beforeResponse] = [new Map(), new Map(), () => undefined];
});

/** Reserves two of five items for an order. */
async function reserveOrder(status: OrderOutcome) {
	const [order_id, product_id] = [uuid(), uuid()];
	statuses.set(order_id, status);
	await shop.call("inventory.open", { product_id, on_hand: 5 });
	const command = { orders: [{ order_id, items: [{ product_id, quantity: 2 }] }] };
	expect(await shop.call("inventory.reserve", command)).toEqual([{ status: "done" }]);
	return {
		order_id,
		command,
		reserved: async () => (await shop.call("inventory.get", { product_id })).reserved,
	};
}
const waitForRequests = (id: string, times: number) =>
	eventually(() => expect(requests.get(id) ?? 0).toBeGreaterThanOrEqual(times));

test.each(["cancelled", "unknown"] as const)(
	"releases the stock of an order that is %s and rejects a late reserve",
	async (status) => {
		const { command, reserved } = await reserveOrder(status);
		await eventually(async () => expect(await reserved()).toBe(0));
		expect(await shop.call("inventory.reserve", command)).toEqual([
			{ status: "refused", code: "RELEASED" },
		]);
	},
);

test("an open order keeps its stock through repeated expiry until it is cancelled", async () => {
	const { order_id, reserved } = await reserveOrder("open");
	await waitForRequests(order_id, 2);
	expect(await reserved()).toBe(2);
	statuses.set(order_id, "cancelled");
	await eventually(async () => expect(await reserved()).toBe(0));
});

test("a confirmed order keeps its stock and is not checked again", async () => {
	const { order_id, reserved } = await reserveOrder("confirmed");
	await waitForRequests(order_id, 1);
	const [other] = [await reserveOrder("open")];
	await waitForRequests(other.order_id, 2);
	expect([requests.get(order_id), await reserved()]).toEqual([1, 2]);
});

test("an order that is confirmed during the check keeps its stock", async () => {
	const response = Promise.withResolvers<void>();
	const { order_id, reserved } = await reserveOrder("open");
	beforeResponse = (ids) => (ids.includes(order_id) ? response.promise : undefined);
	await waitForRequests(order_id, 1);
	statuses.set(order_id, "confirmed");
	response.resolve();
	await waitForRequests(order_id, 2);
	expect(await reserved()).toBe(2);
});

test("an order whose step is repeated during the check keeps its stock", async () => {
	const { order_id, command, reserved } = await reserveOrder("unknown");
	beforeResponse = async (ids) => {
		if (!ids.includes(order_id)) return;
		beforeResponse = () => undefined;
		expect(await shop.call("inventory.reserve", command)).toEqual([{ status: "done" }]);
		statuses.set(order_id, "open");
	};
	await waitForRequests(order_id, 2);
	expect(await reserved()).toBe(2);
});

test("an order that is shipped during the check stays fulfilled", async () => {
	const response = Promise.withResolvers<void>();
	const { order_id, reserved } = await reserveOrder("confirmed");
	beforeResponse = (ids) => (ids.includes(order_id) ? response.promise : undefined);
	await waitForRequests(order_id, 1);
	await shop.databases.query(
		"inventory",
		"update reservations set status = 'fulfilled' where order_id = $1",
		[order_id],
	);
	response.resolve();
	const later = await reserveOrder("cancelled");
	await eventually(async () => expect(await later.reserved()).toBe(0));
	expect(await reserved()).toBe(2);
});

test("releases nothing while the orders service is unavailable, and releases later", async () => {
	beforeResponse = () => Promise.reject(new Error("The orders service is unavailable"));
	const { order_id, reserved } = await reserveOrder("unknown");
	await waitForRequests(order_id, 1);
	expect(await reserved()).toBe(2);
	beforeResponse = () => undefined;
	await eventually(async () => expect(await reserved()).toBe(0));
});
