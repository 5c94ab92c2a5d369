import { afterAll, beforeAll, expect, test } from "@jest/globals";
import { v7 as uuid } from "uuid";
import { type Shop, startShop } from "../../test/support/shop.ts";
import "./shipping.contract.ts";

let shop: Shop;
beforeAll(async () => {
	shop = await startShop({ services: ["shipping"] });
});
afterAll(() => shop?.stop());

const newOrder = (
	overrides: { order_id?: string; user_id?: string | null; shipping_address?: string | null } = {},
) => ({
	order_id: uuid(),
	user_id: uuid(),
	shipping_address: "1 Main Street",
	...overrides,
});

test("schedules an order once when the command is repeated", async () => {
	const order = newOrder();
	expect(await shop.call("shipping.schedule", { orders: [order] })).toEqual([{ status: "done" }]);
	const [before] = await shop.call("shipping.resolve", { order_ids: [order.order_id] });
	expect(await shop.call("shipping.schedule", { orders: [order, order] })).toEqual([
		{ status: "done" },
		{ status: "done" },
	]);
	expect(await shop.call("shipping.resolve", { order_ids: [order.order_id] })).toEqual([before]);
	expect(before).toMatchObject({ status: "scheduled", user_id: order.user_id });
});

test("schedules and cancels the order of a guest with a structured address", async () => {
	const shipping_address = `${"x".repeat(200)}\n`.repeat(9);
	const order = newOrder({ user_id: null, shipping_address });
	const find = () => shop.call("shipping.resolve", { order_ids: [order.order_id] });
	expect(await shop.call("shipping.schedule", { orders: [order] })).toEqual([{ status: "done" }]);
	expect(await find()).toMatchObject([{ user_id: null, shipping_address, status: "scheduled" }]);
	await shop.call("shipping.unschedule", { orders: [{ order_id: order.order_id }] });
	expect(await find()).toMatchObject([{ user_id: null, status: "cancelled" }]);
	const events = await shop.databases.query(
		"shipping",
		"select type from outbox where subject = $1 order by xid, seq",
		[order.order_id],
	);
	expect(events.map(({ type }) => type)).toEqual(["shipment.scheduled", "shipment.cancelled"]);
});

test("refuses an undeliverable address without affecting other orders of the batch", async () => {
	const [good, bad] = [newOrder(), newOrder({ shipping_address: "Undeliverable Lane 3" })];
	expect(await shop.call("shipping.schedule", { orders: [bad, good] })).toEqual([
		{ status: "refused", code: "UNDELIVERABLE" },
		{ status: "done" },
	]);
});

test("rejects a late schedule after an unschedule left a tombstone", async () => {
	const order = newOrder();
	expect(
		await shop.call("shipping.unschedule", {
			orders: [{ order_id: order.order_id }],
		}),
	).toEqual([{ status: "done" }]);
	expect(await shop.call("shipping.schedule", { orders: [order] })).toEqual([
		{ status: "refused", code: "UNSCHEDULED" },
	]);
	expect(await shop.call("shipping.resolve", { order_ids: [order.order_id] })).toEqual([null]);
});

test("unschedules an order once and publishes one event", async () => {
	const order = newOrder();
	const command = { orders: [{ order_id: order.order_id }] };
	await shop.call("shipping.schedule", { orders: [order] });
	expect(await shop.call("shipping.unschedule", command)).toEqual([{ status: "done" }]);
	expect(await shop.call("shipping.unschedule", command)).toEqual([{ status: "done" }]);
	const events = await shop.databases.query(
		"shipping",
		"select type from outbox where subject = $1 order by xid, seq",
		[order.order_id],
	);
	expect(events.map(({ type }) => type)).toEqual(["shipment.scheduled", "shipment.cancelled"]);
});

test("delivers a dispatched order but does not unschedule it", async () => {
	const order = newOrder();
	const command = { orders: [{ order_id: order.order_id }] };
	await shop.call("shipping.schedule", { orders: [order] });
	expect(await shop.call("shipping.deliver", command)).toEqual([
		{ status: "refused", code: "NOT_DISPATCHED" },
	]);
	expect(await shop.call("shipping.dispatch", command)).toEqual([{ status: "done" }]);
	expect(await shop.call("shipping.dispatch", command)).toEqual([{ status: "done" }]);
	expect(await shop.call("shipping.unschedule", command)).toEqual([
		{ status: "refused", code: "DISPATCHED" },
	]);
	expect(await shop.call("shipping.deliver", command)).toEqual([{ status: "done" }]);
	const types = await shop.databases.query(
		"shipping",
		"select type from outbox where subject = $1 order by xid, seq",
		[order.order_id],
	);
	expect(types.map(({ type }) => type)).toEqual([
		"shipment.scheduled",
		"shipment.dispatched",
		"shipment.delivered",
	]);
});

test("returns a dispatched order once, and then neither delivers nor unschedules it", async () => {
	const order = newOrder();
	const command = { orders: [{ order_id: order.order_id }] };
	await shop.call("shipping.schedule", { orders: [order] });
	expect(await shop.call("shipping.return", command)).toEqual([
		{ status: "refused", code: "NOT_DISPATCHED" },
	]);
	await shop.call("shipping.dispatch", command);
	expect(await shop.call("shipping.return", command)).toEqual([{ status: "done" }]);
	expect(await shop.call("shipping.return", command)).toEqual([{ status: "done" }]);
	expect(await shop.call("shipping.deliver", command)).toEqual([
		{ status: "refused", code: "NOT_DISPATCHED" },
	]);
	expect(await shop.call("shipping.unschedule", command)).toEqual([
		{ status: "refused", code: "DISPATCHED" },
	]);
	const events = await shop.databases.query(
		"shipping",
		"select type from outbox where subject = $1 order by seq",
		[order.order_id],
	);
	expect(events.map(({ type }) => type)).toEqual([
		"shipment.scheduled",
		"shipment.dispatched",
		"shipment.returned",
	]);
});
