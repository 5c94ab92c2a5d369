import { afterAll, beforeAll, expect, test } from "@jest/globals";
import type { PollerGroup } from "../../lib/async/poller.ts";
import { eventually } from "../../test/support/eventually.ts";
import {
	newOrder,
	type Order,
	paymentActions,
	startPaymentNodes,
} from "../../test/support/payments.ts";
import type { Shop } from "../../test/support/shop.ts";
import type { Dependencies } from "./payments.dependencies.ts";
import { createLookups } from "./payments.lookups.ts";
import { createRefunds } from "./payments.refunds.ts";
import { createReversals } from "./payments.reversals.ts";
import type { PaymentProvider } from "./providers/provider.ts";

interface Running {
	readonly pollers: PollerGroup;
}
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
const { capturedPayment, ledgerBalance, list, reverse, eventsOf } = paymentActions(() => shop);
const query = (text: string, values?: unknown[]) => shop.databases.query("payments", text, values);

/**
 * Inserts refunds of payments that the provider does not have, so that each attempt fails. They are
 * older than all other refunds.
 */
const INSERT_FAILING_REFUNDS = `with inserted as (
		insert into payments (id, order_id, user_id, amount, currency, status, refunded_amount)
		select gen_random_uuid(), gen_random_uuid(), gen_random_uuid(), 5, 'EUR', 'refunded', 5
		from generate_series(1, $1) returning id)
	insert into refunds (id, payment_id, amount, at)
	select gen_random_uuid(), id, 5, now() - interval '1 day' from inserted returning id`;
const INSERT_AUTHORIZED = `insert into payments
		(id, order_id, user_id, amount, currency, status, authorized_at, updated_at)
	select gen_random_uuid(), gen_random_uuid(), gen_random_uuid(), 5, 'EUR', 'authorized', now(),
		now() - interval '1 day'
	from generate_series(1, $1)`;
const insertUnsettled = (id: string, amount: number, age: string) =>
	query(
		`with inserted as (
			insert into refunds (id, payment_id, amount, at)
			values (gen_random_uuid(), $1, $2, now() - $3::interval) returning id)
		update payments set status = 'partially_refunded', refunded_amount = $2 where id = $1
		returning (select id from inserted) as refund_id`,
		[id, amount, age],
	).then(([row]) => row!.refund_id as string);
/** Inserts a refund into the provider's ledger only, as if its response was lost. */
const insertProviderRefund = ({ order_id }: Order, key: string, amount: number, age: string) =>
	query(
		`with refund as (
			insert into ledger_refunds (key, charge_key, amount, at)
			values ($1, $2, $3, now() - $4::interval))
		update ledger_charges set refunded = refunded + $3 where key = $2`,
		[key, order_id, amount, age],
	);

/** The pollers of one node, with a provider that records the requests. */
function pollersOf(node: Shop) {
	const { db, eventData, wakeRelay, provider } = node.broker.getLocalService(
		"payments",
	) as unknown as Dependencies;
	const requested: string[] = [];
	const lookedUp: string[] = [];
	const recordingProvider: PaymentProvider = {
		...provider,
		refund(requests) {
			requested.push(...requests.map(({ key }) => key));
			return provider.refund(requests);
		},
		lookup(keys) {
			lookedUp.push(...keys);
			return provider.lookup(keys);
		},
	};
	const dependencies = {
		db,
		eventData,
		wakeRelay,
		provider: recordingProvider,
		logger: { warn: () => undefined },
		limits: { totalMs: 5000, idleMs: 5000 },
		longLimits: { totalMs: 5000, idleMs: 5000 },
		windowSeconds: 1800,
	};
	const refunds = createRefunds(dependencies);
	const reversals = createReversals(dependencies, refunds);
	return { requested, lookedUp, refunds, lookups: createLookups(dependencies, refunds, reversals) };
}

test("settles a refund behind more failing refunds than one poll claims", async () => {
	await query(INSERT_FAILING_REFUNDS, [250]);
	const { order, id } = await capturedPayment(10);
	await insertUnsettled(id, 4, "1 minute");
	await eventually(async () =>
		expect(await eventsOf(order)).toEqual(["payment.captured 10", "payment.refunded 4"]),
	);
	expect(await ledgerBalance(order)).toEqual({ charges: 1, balance: 6 });
	await query("delete from refunds where settled_at is null");
});

test("records a capture behind more open authorizations than one poll claims", async () => {
	await query(INSERT_AUTHORIZED, [250]);
	const order = newOrder();
	await query(
		`with charge as (
			insert into ledger_charges (key, status, amount, currency, capture_key)
			values ($1::text, 'captured', 19.99, 'EUR', $1))
		insert into payments
			(id, order_id, user_id, amount, currency, status, authorized_at, updated_at)
		values (gen_random_uuid(), $1::uuid, $2, 19.99, 'EUR', 'authorized', now(),
			now() - interval '1 minute')`,
		[order.order_id, order.user_id],
	);
	await eventually(async () =>
		expect(await list(order.order_id)).toMatchObject([{ status: "captured" }]),
	);
	await query("delete from payments where status = 'authorized'");
});

test("the backoff of a failing refund grows up to 15 minutes", async () => {
	const [{ id }] = (await query(INSERT_FAILING_REFUNDS, [1])) as [{ id: string }];
	const { refunds } = pollersOf(shop);
	const waits: number[] = [];
	for (let attempt = 0; attempt < 10; attempt++) {
		await query("update refunds set next_at = now() where id = $1", [id]);
		await refunds.settleDue();
		const [row] = await query(
			"select extract(epoch from next_at - now())::float8 as wait from refunds where id = $1",
			[id],
		);
		waits.push(row!.wait as number);
	}
	// The shop's own poller may have made an attempt in between.
	expect(waits[0]).toBeLessThan(60);
	expect(waits[4]).toBeGreaterThan(waits[0]!);
	for (const wait of waits.slice(7)) expect(wait).toBeGreaterThan(400);
	expect(Math.max(...waits)).toBeLessThanOrEqual(900);
	await query("delete from refunds where id = $1", [id]);
});

test("does not repeat an old refund that the provider has paid", async () => {
	const { order, id } = await capturedPayment(10);
	const refund_id = await insertUnsettled(id, 4, "30 hours");
	await insertProviderRefund(order, refund_id, 4, "30 hours");
	await eventually(async () =>
		expect(await eventsOf(order)).toEqual(["payment.captured 10", "payment.refunded 4"]),
	);
	expect(await ledgerBalance(order)).toEqual({ charges: 1, balance: 6 });
});

test("pays an old refund that the provider has not received", async () => {
	const { order, id } = await capturedPayment(10);
	await insertUnsettled(id, 4, "30 hours");
	await eventually(async () =>
		expect(await eventsOf(order)).toEqual(["payment.captured 10", "payment.refunded 4"]),
	);
	expect(await ledgerBalance(order)).toEqual({ charges: 1, balance: 6 });
});

test.each([
	["a reversal", "reversal_at = now() - interval '30 hours'"],
	[
		"a reversal begun by an earlier version",
		"reversal_at = null, created_at = now() - interval '30 hours'",
	],
])("%s does not pay twice after the provider forgot its idempotency key", async (_, changes) => {
	const { order, id } = await capturedPayment(10);
	// A partial payout leaves room in the captured amount for a second one.
	await query(
		`with refund as (
			insert into refunds (id, payment_id, amount, settled_at)
			values (gen_random_uuid(), $1, 6, now()))
		update payments set reversal = 'begun', refunded_amount = 6, status = 'partially_refunded',
			${changes}
		where id = $1`,
		[id],
	);
	await insertProviderRefund(order, id, 4, "30 hours");
	expect(await reverse(order)).toEqual([{ status: "done" }]);
	expect(await ledgerBalance(order)).toEqual({ charges: 1, balance: 6 });
});

// The last test of this file, because it stops the pollers of the services.
test("concurrent nodes share due rows and skip failed ones until their backoff ends", async () => {
	for (const { broker } of [shop, second])
		await (broker.getLocalService("payments") as unknown as Running).pollers.stop();
	const failing = (await query(INSERT_FAILING_REFUNDS, [40])).map(({ id }) => id as string).sort();
	await query(INSERT_AUTHORIZED, [40]);
	const nodes = [pollersOf(shop), pollersOf(second)];
	const poll = () =>
		Promise.all(
			nodes.flatMap(({ refunds, lookups }) => [refunds.settleDue(), lookups.lookUpDue()]),
		);
	const [begun] = await query("select now()::text as at");
	await poll();
	const afterBackoff = "$1::timestamptz + interval '5 seconds'";
	expect(
		await query(
			`update refunds set next_at = now() + interval '1 hour'
			where settled_at is null and next_at >= ${afterBackoff} returning id`,
			[begun!.at],
		),
	).toHaveLength(failing.length);
	expect(
		await query(
			`update payments set check_at = now() + interval '1 hour'
			where status = 'authorized' and check_at >= ${afterBackoff} returning id`,
			[begun!.at],
		),
	).toHaveLength(40);
	// The backoff of 5 to 10 seconds could end before these polls.
	for (let turn = 0; turn < 2; turn++) await poll();
	const attempted = await query("select id, attempts from refunds where id = any($1) order by id", [
		failing,
	]);
	expect(attempted).toEqual(failing.map((id) => ({ id, attempts: 1 })));
	const checked = await query("select distinct checks from payments where status = 'authorized'");
	expect(checked).toEqual([{ checks: 1 }]);
	for (const kind of ["requested", "lookedUp"] as const) {
		const keys = nodes.flatMap((node) => node[kind]);
		expect(keys).toHaveLength(new Set(keys).size);
	}
});
