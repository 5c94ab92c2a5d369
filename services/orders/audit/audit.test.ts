import { afterAll, beforeAll, beforeEach, expect, test } from "@jest/globals";
import { v7 as uuid } from "uuid";
import type { Call } from "../../../lib/contracts/contract.ts";
import type { HasDatabase } from "../../../mixins/database.mixin.ts";
import { type Customer, makeAdmin, makeProduct, register } from "../../../test/support/builders.ts";
import { eventually } from "../../../test/support/eventually.ts";
import { type Shop, startShop } from "../../../test/support/shop.ts";
import { createAudit } from "./audit.ts";
import "../orders.contract.ts";

let shop: Shop;
let admin: Customer;
let customer: Customer;
let product: { id: string; price: number };
beforeAll(async () => {
	shop = await startShop();
	[admin, customer] = [await makeAdmin(shop), await register(shop)];
	// The constraint prevents some of the inconsistencies that the tests create.
	await shop.databases.query("inventory", "alter table stock drop constraint stock_check");
});
afterAll(() => shop?.stop());
beforeEach(async () => {
	product = await makeProduct(shop, admin);
});

const buy = async (over: object = {}) =>
	(
		await shop.http("POST /api/orders", {
			token: customer.token,
			body: { items: [{ product_id: product.id, quantity: 2 }], ...over },
		})
	).body;
const to = (verb: string, id: string) =>
	shop.http(`POST /api/orders/${id}/${verb}`, { token: admin.token });
/** Runs a complete audit. */
async function pagesOf(params: object = {}) {
	const read = (after?: string) =>
		shop.call("orders.audit", { quiet: 0, recheck: 0, ...params, ...(after ? { after } : {}) });
	const pages = [await read()];
	for (let next = pages[0]!.next; next; next = pages.at(-1)!.next) pages.push(await read(next));
	return pages;
}
/** Runs a complete audit and returns the violations of the given subjects, or of all. */
async function audit(...subjects: string[]) {
	return (await pagesOf())
		.flatMap(({ violations }) => violations)
		.filter(({ subject }) => subjects.length === 0 || subjects.includes(subject))
		.map(({ invariant }) => invariant);
}
const settled = (id: string) => eventually(async () => expect(await audit(id)).toEqual([]));
const damage = (service: string, text: string, ...values: unknown[]) =>
	shop.databases.query(service, text, values);

test("finds no violation after orders with every outcome", async () => {
	const all = await Promise.all([
		buy(),
		buy(),
		buy(),
		buy({ payment_token: "tok_declined" }),
		buy({ payment_token: "tok_timeout" }),
		buy({ payment_token: "tok_flaky" }),
		buy({ shipping_address: "Undeliverable 1" }),
		buy({ items: [{ product_id: product.id, quantity: 1000 }] }),
		buy({ items: [1, 2].map((quantity) => ({ product_id: product.id, quantity })) }),
	]);
	const [cancelled, shipped, delivered] = all.map(({ id }) => id);
	await Promise.all([to("cancel", cancelled), to("ship", shipped), to("ship", delivered)]);
	await to("deliver", delivered);
	const [payment] = (
		await shop.http(`GET /api/payments?order_id=${delivered}`, { token: admin.token })
	).body;
	await shop.http(`POST /api/payments/${payment.id}/refunds`, {
		token: admin.token,
		body: { amount: 1 },
	});
	await eventually(async () => {
		expect(await audit(product.id, ...all.map(({ id, order_id }) => id ?? order_id))).toEqual([]);
		const { checked, skipped, total, next } = await shop.call("orders.audit", { quiet: 0 });
		expect({ skipped, next }).toEqual({ skipped: 0, next: null });
		expect(checked).toBe(total);
	});
});

test("accepts a returned shipment of a shipped order", async () => {
	const { id } = await buy();
	await to("ship", id);
	expect(await shop.call("shipping.return", { orders: [{ order_id: id }] })).toEqual([
		{ status: "done" },
	]);
	expect((await to("deliver", id)).body).toMatchObject({ status: 409, code: "ILLEGAL_TRANSITION" });
	await settled(id);
});

test.each<[string, string, string, string]>([
	[
		"its reservation is released",
		"WRONG_RESERVATION",
		"inventory",
		"update reservations set status = 'released' where order_id = $1",
	],
	[
		"its reservation has other quantities",
		"WRONG_RESERVATION",
		"inventory",
		"update reservations set quantities = '{1}' where order_id = $1",
	],
	[
		"its payment is missing",
		"WRONG_PAYMENT",
		"payments",
		"delete from payments where order_id = $1",
	],
	[
		"its payment has another amount",
		"WRONG_PAYMENT",
		"payments",
		"update payments set amount = amount + 1 where order_id = $1",
	],
	["it has no shipment", "WRONG_SHIPMENT", "shipping", "delete from shipments where order_id = $1"],
	[
		"its shipment is delivered",
		"WRONG_SHIPMENT",
		"shipping",
		"update shipments set status = 'delivered' where order_id = $1",
	],
	[
		"the provider charged less",
		"LEDGER_MISMATCH",
		"payments",
		"update ledger_charges set amount = 1 where key = $1::uuid::text",
	],
	[
		"the provider charged more",
		"LEDGER_MISMATCH",
		"payments",
		"update ledger_charges set amount = 99 where key = $1::uuid::text",
	],
	[
		"the provider captured twice",
		"CAPTURED_TWICE",
		"payments",
		"update ledger_charges set amount = amount * 2 where key = $1::uuid::text",
	],
	[
		"the provider has a charge without a payment",
		"CAPTURE_WITHOUT_PAYMENT",
		"payments",
		"delete from payments where order_id = $1",
	],
	[
		"its charge was never captured",
		"AUTHORIZATION_OPEN",
		"payments",
		`with gone as (delete from ledger_charges where key = $1::uuid::text
			returning key, amount, currency)
		insert into ledger_authorizations (key, amount, currency, token)
			select key, amount, currency, 'tok_ok' from gone`,
	],
	[
		"its payment is still authorized",
		"AUTHORIZATION_OPEN",
		"payments",
		"update payments set status = 'authorized' where order_id = $1",
	],
	[
		"it is pending without a saga",
		"PENDING_WITHOUT_SAGA",
		"orders",
		"update orders set status = 'pending' where id = $1",
	],
	[
		"its saga is stuck",
		"SAGA_STUCK",
		"orders",
		"update orders set saga_state = 'stuck' where id = $1",
	],
	[
		"its event was published twice",
		"EVENT_TWICE",
		"orders",
		`insert into outbox (type, subject, data) select type, subject, '{}' from outbox
		where subject = $1::uuid::text and type = 'order.confirmed'`,
	],
	[
		"an untrue event was published",
		"EVENT_UNFOUNDED",
		"orders",
		`insert into outbox (type, subject, data) select 'order.delivered', subject, data from outbox
		where subject = $1::uuid::text and type = 'order.confirmed'`,
	],
	[
		"its event is missing",
		"EVENT_MISSING",
		"orders",
		"delete from outbox where subject = $1::uuid::text and type = 'order.confirmed'",
	],
	[
		"its message is missing",
		"MESSAGE_MISSING",
		"notifications",
		"delete from messages where data ->> 'order_id' = $1::uuid::text",
	],
	[
		"its message belongs to no event",
		"MESSAGE_UNFOUNDED",
		"notifications",
		"update messages set event_id = gen_random_uuid() where data ->> 'order_id' = $1::uuid::text",
	],
])("reports a confirmed order when %s", async (_case, invariant, service, text) => {
	const { id } = await buy();
	await settled(id);
	await damage(service, text, id);
	await eventually(async () => expect(await audit(id)).toContain(invariant));
	await damage(
		"orders",
		"update orders set status = 'pending', saga_state = 'stuck' where id = $1",
		id,
	);
});

test.each<[string, string, string, string]>([
	[
		"its stock is still held",
		"CANCELLED_BUT_HELD",
		"inventory",
		"update reservations set status = 'held' where order_id = $1",
	],
	[
		"its payment is not refunded",
		"CANCELLED_BUT_CHARGED",
		"payments",
		"update payments set refunded_amount = 0, status = 'captured' where order_id = $1",
	],
	[
		"the provider has refunded less",
		"LEDGER_MISMATCH",
		"payments",
		"update ledger_refunds set amount = 1 where charge_key = $1::uuid::text",
	],
	[
		"its authorization is still open",
		"AUTHORIZATION_OPEN",
		"payments",
		`with paid as (delete from ledger_refunds where charge_key = $1::uuid::text),
			gone as (delete from ledger_charges where key = $1::uuid::text
				returning key, amount, currency)
		insert into ledger_authorizations (key, amount, currency, token)
			select key, amount, currency, 'tok_ok' from gone`,
	],
	[
		"its shipment is scheduled",
		"CANCELLED_BUT_SHIPPED",
		"shipping",
		"update shipments set status = 'scheduled' where order_id = $1",
	],
])("reports a cancelled order when %s", async (_case, invariant, service, text) => {
	const { id } = await buy();
	await to("cancel", id);
	await settled(id);
	await damage(service, text, id);
	expect(await audit(id)).toContain(invariant);
});

test.each<[string, string, string]>([
	[
		"RESERVATION_WITHOUT_ORDER",
		"inventory",
		`insert into reservations (order_id, status, product_ids, quantities)
		values ($1, 'held', '{}', '{}')`,
	],
	[
		"PAYMENT_WITHOUT_ORDER",
		"payments",
		`insert into payments (id, order_id, user_id, amount, currency, status)
		values (gen_random_uuid(), $1, $1, 1, 'EUR', 'captured')`,
	],
	[
		"CHARGE_WITHOUT_ORDER",
		"payments",
		`insert into ledger_charges (key, status, amount, currency)
		values ($1::uuid::text, 'captured', 1, 'EUR')`,
	],
	[
		"AUTHORIZATION_OPEN",
		"payments",
		`insert into ledger_authorizations (key, amount, currency, token)
		values ($1::uuid::text, 1, 'EUR', 'tok_ok')`,
	],
	[
		"SHIPMENT_WITHOUT_ORDER",
		"shipping",
		`insert into shipments (id, order_id, user_id, status, tracking_number)
		values (gen_random_uuid(), $1, $1, 'scheduled', 'x')`,
	],
])("reports records without an order: %s", async (invariant, service, text) => {
	const id = uuid();
	await damage(service, text, id);
	expect(await audit(id)).toContain(invariant);
});

test("accepts a reservation without an order until it expires and is released", async () => {
	const [kept, expired] = [uuid(), uuid()];
	const items = [{ product_id: product.id, quantity: 2 }];
	const available = async () =>
		(await shop.call("inventory.get", { product_id: product.id })).available;
	const before = await available();
	await shop.call("inventory.reserve", {
		orders: [kept, expired].map((order_id) => ({ order_id, items })),
	});
	expect(await available()).toBe(before - 4);
	await damage(
		"inventory",
		"update reservations set expires_at = now() - interval '1 second' where order_id = $1",
		expired,
	);
	await eventually(async () => expect(await available()).toBe(before - 2));
	expect(await audit(kept, expired)).toEqual([]);
	await shop.call("inventory.release", { orders: [{ order_id: kept }] });
});

test("the stock of an order that could not be written is released", async () => {
	const held = () =>
		shop.databases.query("inventory", "select from reservations where status = 'held'");
	const before = (await held()).length;
	await damage(
		"orders",
		"alter table orders add constraint closed check (now() < '2000-01-01') not valid",
	);
	const { status } = await shop.http("POST /api/orders", {
		token: customer.token,
		body: { items: [{ product_id: product.id, quantity: 2 }] },
	});
	await damage("orders", "alter table orders drop constraint closed");
	expect(status).toBe(500);
	await eventually(async () => expect(await held()).toHaveLength(before));
	// The next order is written first, and the one after that at the same time again.
	expect([(await buy()).status, (await buy()).status]).toEqual(["confirmed", "confirmed"]);
});

test("reports a duplicate message", async () => {
	const { id } = await buy();
	await settled(id);
	await damage(
		"notifications",
		"alter table messages drop constraint messages_event_id_user_id_key",
	);
	await damage(
		"notifications",
		`insert into messages (id, user_id, event_id, channel, template, subject, data, status)
		select gen_random_uuid(), user_id, event_id, channel, template, subject, data, 'kept'
		from messages where data ->> 'order_id' = $1`,
		id,
	);
	expect(await audit(id)).toEqual(["MESSAGE_TWICE"]);
	await damage("notifications", "delete from messages where data ->> 'order_id' = $1", id);
	await damage(
		"notifications",
		"alter table messages add constraint messages_event_id_user_id_key unique (event_id, user_id)",
	);
});

test("reports a second charge under another key", async () => {
	const { id } = await buy();
	await damage(
		"payments",
		"insert into ledger_charges (key, status, amount, currency) values ($1, 'captured', 20, 'EUR')",
		`${id}-again`,
	);
	expect(await audit(`${id}-again`)).toEqual(["CHARGE_WITHOUT_ORDER"]);
});

test("reports a charge under a key that is no order ID", async () => {
	await damage(
		"payments",
		"insert into ledger_charges (key, status, amount, currency) values ($1, 'captured', 20, 'EUR')",
		"pi_of_another_shop",
	);
	expect(await audit("pi_of_another_shop")).toEqual(["CHARGE_WITHOUT_ORDER"]);
	await damage("payments", "delete from ledger_charges where key = 'pi_of_another_shop'");
});

test("reports reserved stock that exceeds the stock or differs from the reservations", async () => {
	await damage(
		"inventory",
		"update stock set on_hand = 1, reserved = 2 where product_id = $1",
		product.id,
	);
	expect((await audit(product.id)).sort()).toEqual(["OVERSOLD", "RESERVED_MISMATCH"]);
});

test("skips and counts orders with an open saga or a recent change", async () => {
	const { id } = await buy();
	await damage("shipping", "delete from shipments where order_id = $1", id);
	const young = await shop.call("orders.audit", { quiet: 3600, recheck: 0 });
	expect(young.violations.filter(({ subject }) => subject === id)).toEqual([]);
	expect(young.skipped).toBeGreaterThan(0);
	await damage(
		"orders",
		"update orders set saga_state = 'backward', saga_owner = $2 where id = $1",
		id,
		shop.broker.nodeID,
	);
	expect(await audit(id)).toEqual([]);
});

test("ignores a violation that is repaired before the second check", async () => {
	const { id } = await buy();
	await settled(id);
	const remove = "delete from shipments where order_id = $1 returning *";
	const [lost] = await damage("shipping", remove, id);
	const call = (async (name: string, params: object) => {
		const result = await shop.call(name as "orders.audit", params);
		// The repair completes right after the first check.
		if (name === "shipping.auditShipments") {
			await damage(
				"shipping",
				`insert into shipments (id, order_id, user_id, status, tracking_number)
				values ($1, $2, $3, 'scheduled', '') on conflict do nothing`,
				lost!.id,
				id,
				lost!.user_id,
			);
		}
		return result;
	}) as Call;
	const { db } = shop.broker.getLocalService("orders") as unknown as HasDatabase;
	const { violations } = await createAudit({ db, call, retentionHours: 24 }).audit({
		quiet: 0,
		recheck: 0,
	});
	expect(violations.filter(({ subject }) => subject === id)).toEqual([]);
});

test("checks orders since a time, page by page", async () => {
	await buy();
	const since = new Date().toISOString();
	const { id } = await buy();
	await settled(id);
	const pages = await pagesOf({ since });
	expect(pages[0]!.total).toBe(1);
	const sum = (field: "checked" | "skipped") =>
		pages.reduce((total, page) => total + page[field], 0);
	expect([sum("checked"), sum("skipped")]).toEqual([1, 0]);
	expect(
		await shop.call("orders.audit", { quiet: 0, recheck: 0, after: `orders:${id}` }),
	).toMatchObject({ total: null, checked: 0 });
});

test("reports refunds that failed after they were accepted", async () => {
	const { id } = await buy();
	await settled(id);
	await damage(
		"payments",
		`insert into refunds (id, payment_id, amount, failed_at)
		select gen_random_uuid(), id, 1, now() from payments where order_id = $1`,
		id,
	);
	expect(await audit(id)).toEqual(["REFUND_FAILED"]);
	await damage("payments", "delete from refunds where failed_at is not null");
});
