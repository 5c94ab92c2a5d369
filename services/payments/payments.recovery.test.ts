import { afterAll, beforeAll, expect, test } from "@jest/globals";
import { v7 as uuid } from "uuid";
import { eventually } from "../../test/support/eventually.ts";
import { done, type Order, order, reversed, startPayments } from "../../test/support/payments.ts";
import { type Shop, startShop } from "../../test/support/shop.ts";
import { breaksOff } from "./providers/simulated/provider.ts";

let shop: Shop;
/** Another node on the same database. */
let second: Shop;
beforeAll(async () => {
	shop = await startShop({ services: ["payments"] });
	second = await startShop({
		services: ["payments"],
		env: { DATABASE_URL: shop.databases.pattern },
	});
});
afterAll(async () => {
	await second?.stop();
	await shop?.stop();
});
const { charge, list, settled, reverse, refund, captured, ledger, booked, told } = startPayments(
	() => shop,
);

/** An order whose card works, but the answer gets lost: that of the capture, or already that of the authorisation. */
function lostAt(step: "authorization" | "capture"): Order {
	const one = order("tok_timeout");
	return breaksOff({ key: one.order_id, token: one.payment_token }) === (step === "authorization")
		? one
		: lostAt(step);
}
/** As a node leaves it that dies between its authorisation and its capture. */
const onRecordAsAuthorized = ({ order_id, user_id, amount }: Order) =>
	shop.databases.query(
		"payments",
		`with noted as (insert into ledger_authorizations (key, amount, currency, token) values ($1::text, $3, 'EUR', 'tok_ok'))
		insert into payments (id, order_id, user_id, amount, currency, status, authorized_at)
		values (gen_random_uuid(), $1::uuid, $2, $3, 'EUR', 'authorized', now())`,
		[order_id, user_id, amount],
	);

test("a slow card's answer is recorded when it comes, though nobody asks again", async () => {
	const mine = order("tok_slow");
	expect(await charge(mine)).toEqual([{ status: "pending" }]);
	await eventually(async () => expect(await told(mine)).toEqual(["payment.captured 19.99"]));
	expect(await settled(mine)).toEqual([done]);
});

test("what was authorised though its answer never came is on record as soon as it is known, then captured, and all of it is told", async () => {
	const mine = lostAt("authorization");
	expect(await charge(mine)).toEqual([{ status: "pending" }]);
	expect(await booked(mine)).toEqual({ authorized: 19.99, charged: 0, refunded: 0 });
	expect(await list(mine.order_id)).toEqual([]);
	// The capture's answer gets lost as well.
	expect(await charge(mine)).toEqual([{ status: "pending" }]);
	expect(await booked(mine)).toEqual({ authorized: 0, charged: 19.99, refunded: 0 });
	expect(await list(mine.order_id)).toMatchObject([
		{ status: "authorized", authorized_at: expect.any(String), captured_at: null },
	]);
	await expect(refund((await list(mine.order_id))[0]!.id)).rejects.toMatchObject({
		type: "NOT_REFUNDABLE",
		data: { left: 0 },
	});
	expect(await charge(mine)).toEqual([done]);
	const [payment] = await list(mine.order_id);
	expect(payment).toMatchObject({
		status: "captured",
		captured_at: expect.any(String),
		voided_at: null,
	});
	expect(await told(mine)).toEqual(["payment.authorized 19.99", "payment.captured 19.99"]);
	const [{ named }] = (await shop.databases.query(
		"payments",
		"select array_agg(distinct data->>'payment_id') as named from outbox where subject = $1",
		[mine.order_id],
	)) as [{ named: string[] }];
	expect(named).toEqual([payment!.id]);
});

test("an authorisation whose capture is on no record is looked after, though nobody asks again", async () => {
	const mine = lostAt("authorization");
	await charge(mine);
	await charge(mine);
	await shop.databases.query(
		"payments",
		"update payments set updated_at = now() - interval '1 minute' where order_id = $1",
		[mine.order_id],
	);
	await eventually(async () =>
		expect(await list(mine.order_id)).toMatchObject([{ status: "captured" }]),
	);
	expect(await told(mine)).toEqual(["payment.authorized 19.99", "payment.captured 19.99"]);
});

test("a reversal voids what is only authorised, and nobody is told of what was never on record", async () => {
	const mine = lostAt("authorization");
	expect(await charge(mine)).toEqual([{ status: "pending" }]);
	expect(await reverse(mine)).toEqual([done]);
	expect(await booked(mine)).toEqual({ authorized: 0, charged: 0, refunded: 0 });
	expect(await settled(mine)).toEqual([reversed]);
	expect(await second.call("payments.charge", { orders: [mine] })).toEqual([reversed]);
	expect(await booked(mine)).toEqual({ authorized: 0, charged: 0, refunded: 0 });
	expect(await told(mine)).toEqual([]);
});

test("a reversal of an authorisation that is on record says that it is voided", async () => {
	const mine = order();
	await onRecordAsAuthorized(mine);
	expect(await reverse(mine)).toEqual([done]);
	expect(await list(mine.order_id)).toMatchObject([
		{ status: "voided", voided_at: expect.any(String), captured_at: null, refunds: [] },
	]);
	expect(await told(mine)).toEqual(["payment.voided 19.99"]);
	expect(await booked(mine)).toEqual({ authorized: 0, charged: 0, refunded: 0 });
	expect(await settled(mine)).toEqual([reversed]);
});

test("a reversal of what is on record as authorised, and was captured, pays it back and tells of both", async () => {
	const mine = order();
	await onRecordAsAuthorized(mine);
	await shop.databases.query(
		"payments",
		"insert into ledger_charges (key, status, amount, currency, capture_key) values ($1, 'captured', 19.99, 'EUR', $1)",
		[mine.order_id],
	);
	expect(await reverse(mine)).toEqual([done]);
	expect(await list(mine.order_id)).toMatchObject([
		{ status: "refunded", refunded_amount: 19.99, captured_at: expect.any(String) },
	]);
	expect(await told(mine)).toEqual(["payment.captured 19.99", "payment.refunded 19.99"]);
	expect(await booked(mine)).toEqual({ authorized: 0, charged: 19.99, refunded: 19.99 });
});

test("what an earlier version was about to reverse when it ended is reversed, and not paid back twice", async () => {
	const { mine, id } = await captured(10);
	await shop.databases.query(
		"payments",
		`with closed as (update ledger_charges set cancelled = 10, refunded = 10 where key = $1::text),
			paid as (insert into ledger_refunds (key, charge_key, amount) values ('cancel ' || $1::text, $1::text, 10))
		update payments set reversal = 'begun' where order_id = $1::uuid`,
		[mine.order_id],
	);
	expect(await reverse(mine)).toEqual([done]);
	expect(await list(mine.order_id)).toMatchObject([
		{ id, status: "refunded", refunded_amount: 10 },
	]);
	expect(await booked(mine)).toEqual({ authorized: 0, charged: 10, refunded: 10 });
});

test("what was charged though its answer never came is paid back by a reversal, and nobody is told of either", async () => {
	const mine = lostAt("capture");
	expect(await charge(mine)).toEqual([{ status: "pending" }]);
	await eventually(async () => expect(await ledger(mine)).toEqual({ charges: 1, balance: 19.99 }));
	expect(await reverse(mine)).toEqual([done]);
	expect(await settled(mine)).toEqual([reversed]);
	expect(await ledger(mine)).toEqual({ charges: 1, balance: 0 });
	expect(await told(mine)).toEqual([]);
});

test("a slow charge that is reversed while it is under way never takes the money", async () => {
	const mine = order("tok_slow");
	expect(await charge(mine)).toEqual([{ status: "pending" }]);
	expect(await reverse(mine)).toEqual([done]);
	expect(await settled(mine)).toEqual([reversed]);
	expect(await ledger(mine)).toEqual({ charges: 0, balance: 0 });
});

test("a refund that its node did not live to finish is finished", async () => {
	const { mine, id } = await captured(10);
	await shop.databases.query(
		"payments",
		`with noted as (insert into refunds (id, payment_id, amount, at) values ($2, $1, 4, now() - interval '1 minute'))
		update payments set status = 'partially_refunded', refunded_amount = 4 where id = $1`,
		[id, uuid()],
	);
	await eventually(async () =>
		expect(await told(mine)).toEqual(["payment.captured 10", "payment.refunded 4"]),
	);
	expect(await ledger(mine)).toEqual({ charges: 1, balance: 6 });
});

test("a reversal finishes a refund that was left unfinished before it pays back the rest", async () => {
	const { mine, id } = await captured(10);
	await shop.databases.query(
		"payments",
		`with noted as (insert into refunds (id, payment_id, amount) values ($2, $1, 4))
		update payments set status = 'partially_refunded', refunded_amount = 4 where id = $1`,
		[id, uuid()],
	);
	expect(await reverse(mine)).toEqual([done]);
	expect(await told(mine)).toEqual([
		"payment.captured 10",
		"payment.refunded 4",
		"payment.refunded 6",
	]);
	expect(await ledger(mine)).toEqual({ charges: 1, balance: 0 });
});
