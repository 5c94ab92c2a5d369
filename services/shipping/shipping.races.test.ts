import { afterAll, beforeAll, expect, test } from "@jest/globals";
import { v7 as uuid } from "uuid";
import type { HasDatabase } from "../../mixins/database.mixin.ts";
import { callWhileLocked } from "../../test/support/lock-waits.ts";
import { type Shop, startShop } from "../../test/support/shop.ts";
import "./shipping.contract.ts";

let shop: Shop;
beforeAll(async () => {
	shop = await startShop({ services: ["shipping"] });
});
afterAll(() => shop?.stop());

const command = (order_id: string) => ({ orders: [{ order_id }] });
const newOrder = (order_id: string) => ({
	order_id,
	user_id: uuid(),
	shipping_address: "1 Main Street",
});
async function scheduledOrder(): Promise<string> {
	const order_id = uuid();
	await shop.call("shipping.schedule", { orders: [newOrder(order_id)] });
	return order_id;
}
const statusOf = async (order_id: string) => {
	const [row] = await shop.databases.query<{ status: string }>(
		"shipping",
		"select status from shipments where order_id = $1",
		[order_id],
	);
	return row?.status;
};

/** Calls an action that waits for a concurrent change of the same shipment. */
function callDuring<T>(statement: string, order_id: string, call: () => Promise<T>): Promise<T> {
	const { db } = shop.broker.getLocalService("shipping") as unknown as HasDatabase;
	return callWhileLocked(db, (tx) => tx.query(statement, [order_id]), call);
}
const setStatus = (status: string) =>
	`update shipments set status = '${status}' where order_id = $1`;
const insertTombstone = `insert into shipments (id, order_id, status, tracking_number)
	values (gen_random_uuid(), $1, 'cancelled', '')`;

test("unschedule returns done after waiting for a concurrent unschedule", async () => {
	const order_id = await scheduledOrder();
	const outcomes = await callDuring(setStatus("cancelled"), order_id, () =>
		shop.call("shipping.unschedule", command(order_id)),
	);
	expect(outcomes).toEqual([{ status: "done" }]);
});

test("unschedule returns done after waiting for a concurrent tombstone", async () => {
	const order_id = uuid();
	const outcomes = await callDuring(insertTombstone, order_id, () =>
		shop.call("shipping.unschedule", command(order_id)),
	);
	expect(outcomes).toEqual([{ status: "done" }]);
});

test("unschedule and dispatch are refused after waiting for the opposite change", async () => {
	const [dispatched, cancelled] = [await scheduledOrder(), await scheduledOrder()];
	const refusedUnschedule = await callDuring(setStatus("dispatched"), dispatched, () =>
		shop.call("shipping.unschedule", command(dispatched)),
	);
	expect(refusedUnschedule).toEqual([{ status: "refused", code: "DISPATCHED" }]);
	const refusedDispatch = await callDuring(setStatus("cancelled"), cancelled, () =>
		shop.call("shipping.dispatch", command(cancelled)),
	);
	expect(refusedDispatch).toEqual([{ status: "refused", code: "NOT_SCHEDULED" }]);
	expect([await statusOf(dispatched), await statusOf(cancelled)]).toEqual([
		"dispatched",
		"cancelled",
	]);
});

test("dispatch, deliver and return are done after waiting for the same change", async () => {
	const order_id = await scheduledOrder();
	expect(
		await callDuring(setStatus("dispatched"), order_id, () =>
			shop.call("shipping.dispatch", command(order_id)),
		),
	).toEqual([{ status: "done" }]);
	expect(
		await callDuring(setStatus("delivered"), order_id, () =>
			shop.call("shipping.deliver", command(order_id)),
		),
	).toEqual([{ status: "done" }]);
	const other = await scheduledOrder();
	await shop.call("shipping.dispatch", command(other));
	expect(
		await callDuring(setStatus("returned"), other, () =>
			shop.call("shipping.return", command(other)),
		),
	).toEqual([{ status: "done" }]);
});

test("schedules an order once, with one event, when a batch contains it twice", async () => {
	const order_id = uuid();
	const outcomes = await shop.call("shipping.schedule", {
		orders: [newOrder(order_id), newOrder(order_id)],
	});
	expect(outcomes).toEqual([{ status: "done" }, { status: "done" }]);
	const events = await shop.databases.query(
		"shipping",
		"select data->>'shipment_id' as id from outbox where subject = $1",
		[order_id],
	);
	const [shipment] = await shop.call("shipping.resolve", { order_ids: [order_id] });
	expect(events).toEqual([{ id: shipment!.id }]);
});
