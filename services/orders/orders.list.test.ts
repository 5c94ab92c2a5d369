import { beforeAll, describe, expect, test } from "@jest/globals";
import { v7 as uuid } from "uuid";
import { customer } from "../../test/support/order-shop.ts";
import { admin } from "../../test/support/shop.ts";
import { storeOrders } from "./test/stored-orders.ts";
import { as, stubbedOrderShop } from "./test/stubbed-order-shop.ts";

const orders = stubbedOrderShop();
type Params = Parameters<typeof list>[0];
const list = (params: {
	email?: string;
	from?: string;
	to?: string;
	status?: "confirmed" | "cancelled";
	user_id?: string;
	skip?: number;
	limit?: number;
}) => orders.shop.call("orders.list", params, as(admin!));
const idsOf = async (params: Params) => (await list(params)).rows.map(({ id }) => id);

describe("the filter of time", () => {
	let ids: string[];
	beforeAll(async () => {
		ids = await storeOrders(orders.shop, [
			{ placed: "2020-01-01T09:59:59.999Z", user_id: customer.id },
			{ placed: "2020-01-01T10:00:00.000Z", status: "cancelled" },
			{ placed: "2020-01-01T10:30:00.000Z", user_id: customer.id },
			{ placed: "2020-01-01T11:00:00.000Z", user_id: customer.id },
		]);
	});
	const hour = { from: "2020-01-01T10:00:00Z", to: "2020-01-01T11:00:00Z" };

	test("includes its start but not its end", async () => {
		expect(await list(hour)).toMatchObject({ rows: [{ id: ids[2] }, { id: ids[1] }], total: 2 });
	});

	test("can be open", async () => {
		expect(await idsOf({ to: hour.to })).toEqual([ids[2], ids[1], ids[0]]);
		expect(await idsOf({ from: hour.to })).toContain(ids[3]);
	});

	test("applies together with other filters", async () => {
		expect(await idsOf({ ...hour, status: "cancelled" })).toEqual([ids[1]]);
		expect(await idsOf({ ...hour, user_id: customer.id })).toEqual([ids[2]]);
	});

	test("applies to the orders of a customer", async () => {
		const own = await orders.shop.call("orders.list", hour, as(customer));
		expect(own.rows.map(({ id }) => id)).toEqual([ids[2]]);
	});

	test("is rejected if it ends before it starts", async () => {
		await expect(list({ from: hour.to, to: hour.from })).rejects.toMatchObject({
			type: "VALIDATION_ERROR",
			data: { errors: [{ field: "to" }] },
		});
	});
});

describe("the filter of the e-mail address", () => {
	let ids: string[];
	beforeAll(async () => {
		ids = await storeOrders(orders.shop, [
			{ placed: "2021-01-01T10:00:00Z", user_id: customer.id },
			{ placed: "2021-01-01T11:00:00Z", email: customer.email, status: "cancelled" },
			{ placed: "2021-01-01T12:00:00Z", user_id: customer.id, email: customer.email },
			{ placed: "2021-01-01T13:00:00Z", user_id: customer.id, email: "other@example.com" },
			{ placed: "2021-01-01T14:00:00Z", user_id: uuid() },
			{ placed: "2021-01-01T15:00:00Z", email: "guest@xn--mnchen-3ya.de" },
		]);
	});
	const year = { from: "2021-01-01T00:00:00Z", to: "2022-01-01T00:00:00Z" };

	test("returns the orders with the address and those of the account, each once", async () => {
		expect(await list({ ...year, email: customer.email })).toMatchObject({
			rows: [3, 2, 1, 0].map((i) => ({ id: ids[i] })),
			total: 4,
		});
	});

	test("has pages", async () => {
		const page = { ...year, email: customer.email, limit: 2 };
		expect(await idsOf(page)).toEqual([ids[3], ids[2]]);
		expect(await list({ ...page, skip: 2 })).toMatchObject({
			rows: [{ id: ids[1] }, { id: ids[0] }],
			total: 4,
		});
	});

	test("applies together with other filters", async () => {
		const filter = { ...year, email: customer.email };
		expect(await idsOf({ ...filter, status: "cancelled" })).toEqual([ids[1]]);
		expect(await idsOf({ ...filter, user_id: customer.id })).toEqual([ids[3], ids[2], ids[0]]);
	});

	test("finds the canonical form of an address without an account", async () => {
		expect(await idsOf({ email: "Guest@MÜNCHEN.de" })).toEqual([ids[5]]);
		expect(await list({ email: "unknown@example.com" })).toEqual({ rows: [], total: 0 });
	});

	test("is available to other services for the addresses of orders", async () => {
		const find = (email: string, limit: number) =>
			orders.shop.call("orders.findByEmail", { email, limit });
		expect(await find(customer.email, 10)).toEqual([ids[2], ids[1]]);
		expect(await find("Guest@MÜNCHEN.de", 1)).toEqual([ids[5]]);
	});

	test("requires an administrator", async () => {
		const listed = orders.shop.call("orders.list", { email: customer.email }, as(customer));
		await expect(listed).rejects.toMatchObject({ type: "FORBIDDEN" });
	});
});
