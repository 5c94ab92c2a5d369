import { expect, test } from "@jest/globals";
import type { Database } from "../../lib/persistence/database.ts";
import { admin } from "../../test/support/shop.ts";
import { createStatistics } from "./orders.statistics.ts";
import { storeOrders } from "./test/stored-orders.ts";
import { as, stubbedOrderShop } from "./test/stubbed-order-shop.ts";

const orders = stubbedOrderShop();
const statistics = (params: { from: string; to?: string; interval?: "minute" | "hour" | "day" }) =>
	orders.shop.call("orders.statistics", params, as(admin!));

test("counts orders by hour, currency and status, and sums confirmed ones", async () => {
	await storeOrders(orders.shop, [
		{ placed: "2020-01-01T09:59:59.999Z" },
		{ placed: "2020-01-01T10:00:00.000Z", total: "0.1" },
		{ placed: "2020-01-01T10:20:00.000Z", total: "0.2", status: "shipped" },
		{ placed: "2020-01-01T10:30:00.000Z", total: "0.3", status: "delivered" },
		{ placed: "2020-01-01T10:40:00.000Z", status: "cancelled" },
		{ placed: "2020-01-01T10:50:00.000Z", status: "pending" },
		{ placed: "2020-01-01T10:59:59.999Z", currency: "JPY", total: "500" },
		{ placed: "2020-01-01T12:00:00.000Z", status: "cancelled" },
		{ placed: "2020-01-01T13:00:00.000Z" },
	]);
	expect(
		await statistics({
			from: "2020-01-01T10:30:00Z",
			to: "2020-01-01T12:30:00Z",
			interval: "hour",
		}),
	).toEqual([
		{
			time: "2020-01-01T10:00:00.000Z",
			currency: "EUR",
			placed: 5,
			confirmed: 3,
			cancelled: 1,
			revenue: 0.6,
		},
		{
			time: "2020-01-01T10:00:00.000Z",
			currency: "JPY",
			placed: 1,
			confirmed: 1,
			cancelled: 0,
			revenue: 500,
		},
		{
			time: "2020-01-01T12:00:00.000Z",
			currency: "EUR",
			placed: 1,
			confirmed: 0,
			cancelled: 1,
			revenue: 0,
		},
	]);
});

test("days begin at midnight in UTC", async () => {
	await storeOrders(orders.shop, [
		{ placed: "2021-03-27T23:59:59.999Z" },
		{ placed: "2021-03-28T00:00:00.000Z" },
		{ placed: "2021-03-28T23:59:59.999Z" },
	]);
	const days = await statistics({
		from: "2021-03-27T00:00:00Z",
		to: "2021-03-29T00:00:00Z",
		interval: "day",
	});
	expect(days).toMatchObject([
		{ time: "2021-03-27T00:00:00.000Z", placed: 1 },
		{ time: "2021-03-28T00:00:00.000Z", placed: 2 },
	]);
});

test("counts an order whose checkout took long in the period of its ID", async () => {
	const [id] = await storeOrders(orders.shop, [{ placed: "2022-01-01T10:59:59.999Z" }]);
	await orders.shop.databases.query(
		"orders",
		"update orders set created_at = '2022-01-01T11:00:02Z' where id = $1",
		[id],
	);
	const request = { from: "2022-01-01T10:00:00Z", interval: "hour" } as const;
	expect(await statistics({ ...request, to: "2022-01-01T11:00:00Z" })).toMatchObject([
		{ time: "2022-01-01T10:00:00.000Z", placed: 1 },
	]);
});

test("requires an administrator and a bounded number of periods", async () => {
	const request = { from: "2020-01-01T00:00:00Z", interval: "minute" } as const;
	await expect(statistics(request)).rejects.toMatchObject({ type: "VALIDATION_ERROR" });
	await expect(orders.shop.call("orders.statistics", request)).rejects.toMatchObject({
		type: "UNAUTHENTICATED",
	});
});

test("concurrent and repeated requests share one query", async () => {
	const queries: unknown[] = [];
	const db = {
		async query(...query: unknown[]) {
			queries.push(query);
			return [];
		},
	} as Partial<Database> as Database;
	const read = createStatistics(db, { nodeID: "node" });
	const periods = {
		from: new Date("2020-01-01T00:00:00Z"),
		to: new Date("2020-01-02T00:00:00Z"),
		interval: "hour",
	} as const;
	await Promise.all([read(periods), read(periods), read(periods)]);
	await read(periods);
	expect(queries).toHaveLength(1);
	await read({ ...periods, interval: "minute" });
	expect(queries).toHaveLength(2);
});

test("rejects requests while too many wait", async () => {
	const { promise, resolve } = Promise.withResolvers<never[]>();
	const db = { query: () => promise } as Partial<Database> as Database;
	const read = createStatistics(db, { nodeID: "node" });
	const request = (day: number) =>
		read({ from: new Date(day), to: new Date(day + 1), interval: "day" });
	const waiting = Array.from({ length: 21 }, (_, day) => request(day));
	await expect(request(21)).rejects.toMatchObject({ type: "QUEUE_FULL" });
	resolve([]);
	expect(await Promise.all(waiting)).toHaveLength(21);
});
