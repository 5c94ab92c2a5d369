import { afterAll, beforeAll, expect, test } from "@jest/globals";
import { v7 as uuid } from "uuid";
import type { HasDatabase } from "../../mixins/database.mixin.ts";
import { eventually } from "../../test/support/eventually.ts";
import { type Shop, startShop } from "../../test/support/shop.ts";
import "./shipping.contract.ts";

let shop: Shop;
beforeAll(async () => {
	shop = await startShop({ services: ["shipping"] });
});
afterAll(() => shop?.stop());

const only = (order_id: string) => ({ orders: [{ order_id }] });
const wanted = (order_id: string) => ({
	order_id,
	user_id: uuid(),
	shipping_address: "1 Main Street",
});
async function scheduled(): Promise<string> {
	const order_id = uuid();
	await shop.call("shipping.schedule", { orders: [wanted(order_id)] });
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

/** Asks for something while another statement, which is not committed before this one waits for it, changes the same shipment. */
function during<T>(statement: string, order_id: string, ask: () => Promise<T>): Promise<T> {
	const { db } = shop.broker.getLocalService("shipping") as unknown as HasDatabase;
	let asked: Promise<T> | undefined;
	return db
		.transaction(async (tx) => {
			await tx.query(statement, [order_id]);
			asked = ask();
			await eventually(async () => {
				const waiting =
					"select count(*)::int as n from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'";
				expect(await db.query(waiting)).toEqual([{ n: 1 }]);
			});
		})
		.then(() => asked!);
}
const become = (status: string) => `update shipments set status = '${status}' where order_id = $1`;
const tombstone =
	"insert into shipments (id, order_id, status, tracking_number) values (gen_random_uuid(), $1, 'cancelled', '')";

test("an unschedule that waits for another one is done, not barred", async () => {
	const order_id = await scheduled();
	const outcomes = await during(become("cancelled"), order_id, () =>
		shop.call("shipping.unschedule", only(order_id)),
	);
	expect(outcomes).toEqual([{ status: "done" }]);
});

test("an unschedule that waits for another one's tombstone is done as well", async () => {
	const order_id = uuid();
	const outcomes = await during(tombstone, order_id, () =>
		shop.call("shipping.unschedule", only(order_id)),
	);
	expect(outcomes).toEqual([{ status: "done" }]);
});

test("an unschedule that waits for a dispatch is refused, and a dispatch that waits for an unschedule as well", async () => {
	const [gone, back] = [await scheduled(), await scheduled()];
	const barred = await during(become("dispatched"), gone, () =>
		shop.call("shipping.unschedule", only(gone)),
	);
	expect(barred).toEqual([{ status: "refused", code: "DISPATCHED" }]);
	const late = await during(become("cancelled"), back, () =>
		shop.call("shipping.dispatch", only(back)),
	);
	expect(late).toEqual([{ status: "refused", code: "NOT_SCHEDULED" }]);
	expect([await statusOf(gone), await statusOf(back)]).toEqual(["dispatched", "cancelled"]);
});

test("a dispatch, a delivery or a return that waits for its like is done", async () => {
	const order_id = await scheduled();
	expect(
		await during(become("dispatched"), order_id, () =>
			shop.call("shipping.dispatch", only(order_id)),
		),
	).toEqual([{ status: "done" }]);
	expect(
		await during(become("delivered"), order_id, () =>
			shop.call("shipping.deliver", only(order_id)),
		),
	).toEqual([{ status: "done" }]);
	const other = await scheduled();
	await shop.call("shipping.dispatch", only(other));
	expect(
		await during(become("returned"), other, () => shop.call("shipping.return", only(other))),
	).toEqual([{ status: "done" }]);
});

test("an order that one list names twice is scheduled once and told of once", async () => {
	const order_id = uuid();
	const outcomes = await shop.call("shipping.schedule", {
		orders: [wanted(order_id), wanted(order_id)],
	});
	expect(outcomes).toEqual([{ status: "done" }, { status: "done" }]);
	const told = await shop.databases.query(
		"shipping",
		"select data->>'shipment_id' as id from outbox where subject = $1",
		[order_id],
	);
	const [made] = await shop.call("shipping.resolve", { order_ids: [order_id] });
	expect(told).toEqual([{ id: made!.id }]);
});
