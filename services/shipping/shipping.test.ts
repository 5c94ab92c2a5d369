import { afterAll, beforeAll, expect, test } from "@jest/globals";
import { v7 as uuid } from "uuid";
import { type Shop, startShop } from "../../test/support/shop.ts";
import "./shipping.contract.ts";

let shop: Shop;
beforeAll(async () => {
	shop = await startShop({ services: ["shipping"] });
});
afterAll(() => shop?.stop());

const order = (over: { order_id?: string; shipping_address?: string | null } = {}) => ({
	order_id: uuid(),
	user_id: uuid(),
	shipping_address: "1 Main Street",
	...over,
});

test("an order is scheduled once, however often it is asked for", async () => {
	const mine = order();
	expect(await shop.call("shipping.schedule", { orders: [mine] })).toEqual([{ status: "done" }]);
	const [before] = await shop.call("shipping.resolve", { order_ids: [mine.order_id] });
	expect(await shop.call("shipping.schedule", { orders: [mine, mine] })).toEqual([
		{ status: "done" },
		{ status: "done" },
	]);
	expect(await shop.call("shipping.resolve", { order_ids: [mine.order_id] })).toEqual([before]);
	expect(before).toMatchObject({ status: "scheduled", user_id: mine.user_id });
});

test("an undeliverable address is refused and does not hold back its neighbours", async () => {
	const [good, bad] = [order(), order({ shipping_address: "Undeliverable Lane 3" })];
	expect(await shop.call("shipping.schedule", { orders: [bad, good] })).toEqual([
		{ status: "refused", code: "UNDELIVERABLE" },
		{ status: "done" },
	]);
});

test("an undo that comes before its do leaves a tombstone, and the late do is refused", async () => {
	const mine = order();
	expect(
		await shop.call("shipping.unschedule", {
			orders: [mine].map(({ order_id }) => ({ order_id })),
		}),
	).toEqual([{ status: "done" }]);
	expect(await shop.call("shipping.schedule", { orders: [mine] })).toEqual([
		{ status: "refused", code: "UNSCHEDULED" },
	]);
	expect(await shop.call("shipping.resolve", { order_ids: [mine.order_id] })).toEqual([null]);
});

test("a scheduled order is unscheduled once, with one event", async () => {
	const mine = order();
	const only = { orders: [{ order_id: mine.order_id }] };
	await shop.call("shipping.schedule", { orders: [mine] });
	expect(await shop.call("shipping.unschedule", only)).toEqual([{ status: "done" }]);
	expect(await shop.call("shipping.unschedule", only)).toEqual([{ status: "done" }]);
	const told = await shop.databases.query(
		"shipping",
		"select type from outbox where subject = $1 order by xid, seq",
		[mine.order_id],
	);
	expect(told.map(({ type }) => type)).toEqual(["shipment.scheduled", "shipment.cancelled"]);
});

test("what was dispatched can be delivered but not unscheduled", async () => {
	const mine = order();
	const only = { orders: [{ order_id: mine.order_id }] };
	await shop.call("shipping.schedule", { orders: [mine] });
	expect(await shop.call("shipping.deliver", only)).toEqual([
		{ status: "refused", code: "NOT_DISPATCHED" },
	]);
	expect(await shop.call("shipping.dispatch", only)).toEqual([{ status: "done" }]);
	expect(await shop.call("shipping.dispatch", only)).toEqual([{ status: "done" }]);
	expect(await shop.call("shipping.unschedule", only)).toEqual([
		{ status: "refused", code: "DISPATCHED" },
	]);
	expect(await shop.call("shipping.deliver", only)).toEqual([{ status: "done" }]);
	const types = await shop.databases.query(
		"shipping",
		"select type from outbox where subject = $1 order by xid, seq",
		[mine.order_id],
	);
	expect(types.map(({ type }) => type)).toEqual([
		"shipment.scheduled",
		"shipment.dispatched",
		"shipment.delivered",
	]);
});

test("what is on its way may come back, once, and is then neither delivered nor unscheduled", async () => {
	const mine = order();
	const only = { orders: [{ order_id: mine.order_id }] };
	await shop.call("shipping.schedule", { orders: [mine] });
	expect(await shop.call("shipping.return", only)).toEqual([
		{ status: "refused", code: "NOT_DISPATCHED" },
	]);
	await shop.call("shipping.dispatch", only);
	expect(await shop.call("shipping.return", only)).toEqual([{ status: "done" }]);
	expect(await shop.call("shipping.return", only)).toEqual([{ status: "done" }]);
	expect(await shop.call("shipping.deliver", only)).toEqual([
		{ status: "refused", code: "NOT_DISPATCHED" },
	]);
	expect(await shop.call("shipping.unschedule", only)).toEqual([
		{ status: "refused", code: "DISPATCHED" },
	]);
	const told = await shop.databases.query(
		"shipping",
		"select type from outbox where subject = $1 order by seq",
		[mine.order_id],
	);
	expect(told.map(({ type }) => type)).toEqual([
		"shipment.scheduled",
		"shipment.dispatched",
		"shipment.returned",
	]);
});
