import { afterAll, beforeAll, expect, test } from "@jest/globals";
import { v7 as uuid } from "uuid";
import { eventually } from "../../test/support/eventually.ts";
import {
	done,
	holdSlowCards,
	newOrder,
	type Order,
	paymentActions,
	reversed,
	startPaymentNodes,
} from "../../test/support/payments.ts";
import type { Shop } from "../../test/support/shop.ts";
import { stopsBeforeCapture } from "./providers/simulated/cards.ts";

let shop: Shop;
/** A second node on the same database. */
let second: Shop;
beforeAll(async () => {
	[shop, second] = await startPaymentNodes();
});
afterAll(async () => {
	await second?.stop();
	await shop?.stop();
});
const {
	charge,
	list,
	chargeFully,
	reverse,
	refund,
	capturedPayment,
	ledgerBalance,
	ledgerEntry,
	eventsOf,
} = paymentActions(() => shop);

/** An order whose response is lost after the given step. */
function newOrderLostAt(step: "authorization" | "capture"): Order {
	const order = newOrder("tok_timeout");
	const isAuthorization = stopsBeforeCapture({ key: order.order_id, token: order.payment_token });
	return isAuthorization === (step === "authorization") ? order : newOrderLostAt(step);
}
/** Inserts the records of a node that died between the authorization and the capture. */
const insertAuthorized = ({ order_id, user_id, amount }: Order) =>
	shop.databases.query(
		"payments",
		`with ledger as (
			insert into ledger_authorizations (key, amount, currency, token)
			values ($1::text, $3, 'EUR', 'tok_ok'))
		insert into payments (id, order_id, user_id, amount, currency, status, authorized_at)
		values (gen_random_uuid(), $1::uuid, $2, $3, 'EUR', 'authorized', now())`,
		[order_id, user_id, amount],
	);
/**
 * Charges an order whose authorization is not recorded until the response to its capture is lost.
 * A lookup that takes longer than the time limit requests no capture.
 */
const loseCapture = (order: Order) =>
	eventually(async () => {
		expect(await charge(order)).toEqual([{ status: "pending" }]);
		expect(await list(order.order_id)).toMatchObject([
			{ status: "authorized", authorized_at: expect.any(String), captured_at: null },
		]);
	});
const becomesInLedger = (order: Order, expected: Awaited<ReturnType<typeof ledgerEntry>>) =>
	eventually(async () => expect(await ledgerEntry(order)).toEqual(expected));

test("records a slow response without another request", async () => {
	const order = newOrder("tok_slow");
	expect(await charge(order)).toEqual([{ status: "pending" }]);
	await eventually(async () => expect(await eventsOf(order)).toEqual(["payment.captured 19.99"]));
	expect(await chargeFully(order)).toEqual([done]);
});

test("records, captures and publishes an authorization whose response was lost", async () => {
	const order = newOrderLostAt("authorization");
	expect(await charge(order)).toEqual([{ status: "pending" }]);
	await becomesInLedger(order, { authorized: 19.99, charged: 0, refunded: 0 });
	expect(await list(order.order_id)).toEqual([]);
	await loseCapture(order);
	await becomesInLedger(order, { authorized: 0, charged: 19.99, refunded: 0 });
	await expect(refund((await list(order.order_id))[0]!.id)).rejects.toMatchObject({
		type: "NOT_REFUNDABLE",
		data: { left: 0 },
	});
	expect(await chargeFully(order)).toEqual([done]);
	const [payment] = await list(order.order_id);
	expect(payment).toMatchObject({
		status: "captured",
		captured_at: expect.any(String),
		voided_at: null,
	});
	expect(await eventsOf(order)).toEqual(["payment.authorized 19.99", "payment.captured 19.99"]);
	const [{ payment_ids }] = (await shop.databases.query(
		"payments",
		"select array_agg(distinct data->>'payment_id') as payment_ids from outbox where subject = $1",
		[order.order_id],
	)) as [{ payment_ids: string[] }];
	expect(payment_ids).toEqual([payment!.id]);
});

test("records a capture whose response was lost without another request", async () => {
	const order = newOrderLostAt("authorization");
	await charge(order);
	await becomesInLedger(order, { authorized: 19.99, charged: 0, refunded: 0 });
	await loseCapture(order);
	await shop.databases.query(
		"payments",
		"update payments set updated_at = now() - interval '1 minute' where order_id = $1",
		[order.order_id],
	);
	await eventually(async () =>
		expect(await list(order.order_id)).toMatchObject([{ status: "captured" }]),
	);
	expect(await eventsOf(order)).toEqual(["payment.authorized 19.99", "payment.captured 19.99"]);
});

test("a reversal voids an unrecorded authorization without events", async () => {
	const order = newOrderLostAt("authorization");
	expect(await charge(order)).toEqual([{ status: "pending" }]);
	expect(await reverse(order)).toEqual([done]);
	expect(await ledgerEntry(order)).toEqual({ authorized: 0, charged: 0, refunded: 0 });
	expect(await chargeFully(order)).toEqual([reversed]);
	expect(await second.call("payments.charge", { orders: [order] })).toEqual([reversed]);
	expect(await ledgerEntry(order)).toEqual({ authorized: 0, charged: 0, refunded: 0 });
	expect(await eventsOf(order)).toEqual([]);
});

test("a reversal of a recorded authorization publishes payment.voided", async () => {
	const order = newOrder();
	await insertAuthorized(order);
	expect(await reverse(order)).toEqual([done]);
	expect(await list(order.order_id)).toMatchObject([
		{ status: "voided", voided_at: expect.any(String), captured_at: null, refunds: [] },
	]);
	expect(await eventsOf(order)).toEqual(["payment.voided 19.99"]);
	expect(await ledgerEntry(order)).toEqual({ authorized: 0, charged: 0, refunded: 0 });
	expect(await chargeFully(order)).toEqual([reversed]);
});

test("a reversal records and refunds an unrecorded capture with an event for each", async () => {
	const order = newOrder();
	await insertAuthorized(order);
	await shop.databases.query(
		"payments",
		`insert into ledger_charges (key, status, amount, currency, capture_key)
		values ($1, 'captured', 19.99, 'EUR', $1)`,
		[order.order_id],
	);
	expect(await reverse(order)).toEqual([done]);
	expect(await list(order.order_id)).toMatchObject([
		{ status: "refunded", refunded_amount: 19.99, captured_at: expect.any(String) },
	]);
	expect(await eventsOf(order)).toEqual(["payment.captured 19.99", "payment.refunded 19.99"]);
	expect(await ledgerEntry(order)).toEqual({ authorized: 0, charged: 19.99, refunded: 19.99 });
});

test("completes a reversal that an earlier version began without a second refund", async () => {
	const { order, id } = await capturedPayment(10);
	await shop.databases.query(
		"payments",
		`with closed as (update ledger_charges set cancelled = 10, refunded = 10 where key = $1::text),
			refund as (
				insert into ledger_refunds (key, charge_key, amount)
				values ('cancel ' || $1::text, $1::text, 10))
		update payments set reversal = 'begun' where order_id = $1::uuid`,
		[order.order_id],
	);
	expect(await reverse(order)).toEqual([done]);
	expect(await list(order.order_id)).toMatchObject([
		{ id, status: "refunded", refunded_amount: 10 },
	]);
	expect(await ledgerEntry(order)).toEqual({ authorized: 0, charged: 10, refunded: 10 });
});

test("a reversal refunds a charge whose response was lost without events", async () => {
	const order = newOrderLostAt("capture");
	expect(await charge(order)).toEqual([{ status: "pending" }]);
	await eventually(async () =>
		expect(await ledgerBalance(order)).toEqual({ charges: 1, balance: 19.99 }),
	);
	expect(await reverse(order)).toEqual([done]);
	expect(await chargeFully(order)).toEqual([reversed]);
	expect(await ledgerBalance(order)).toEqual({ charges: 1, balance: 0 });
	expect(await eventsOf(order)).toEqual([]);
});

test("a slow charge that is reversed in flight takes no money", async () => {
	const order = newOrder("tok_slow");
	const held = holdSlowCards(shop);
	expect(await charge(order)).toEqual([{ status: "pending" }]);
	expect(await reverse(order)).toEqual([done]);
	await held.release();
	expect(await chargeFully(order)).toEqual([reversed]);
	expect(await ledgerBalance(order)).toEqual({ charges: 0, balance: 0 });
});

test("settles a refund whose node died", async () => {
	const { order, id } = await capturedPayment(10);
	await shop.databases.query(
		"payments",
		`with refund as (
			insert into refunds (id, payment_id, amount, at)
			values ($2, $1, 4, now() - interval '1 minute'))
		update payments set status = 'partially_refunded', refunded_amount = 4 where id = $1`,
		[id, uuid()],
	);
	await eventually(async () =>
		expect(await eventsOf(order)).toEqual(["payment.captured 10", "payment.refunded 4"]),
	);
	expect(await ledgerBalance(order)).toEqual({ charges: 1, balance: 6 });
});

test("a reversal settles an unsettled refund before it refunds the rest", async () => {
	const { order, id } = await capturedPayment(10);
	await shop.databases.query(
		"payments",
		`with refund as (insert into refunds (id, payment_id, amount) values ($2, $1, 4))
		update payments set status = 'partially_refunded', refunded_amount = 4 where id = $1`,
		[id, uuid()],
	);
	expect(await reverse(order)).toEqual([done]);
	expect(await eventsOf(order)).toEqual([
		"payment.captured 10",
		"payment.refunded 4",
		"payment.refunded 6",
	]);
	expect(await ledgerBalance(order)).toEqual({ charges: 1, balance: 0 });
});
