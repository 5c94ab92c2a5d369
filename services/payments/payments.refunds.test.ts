import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import { v7 as uuid } from "uuid";
import { eventually } from "../../test/support/eventually.ts";
import { done, newOrder, type Order, paymentActions } from "../../test/support/payments.ts";
import { type Shop, startShop } from "../../test/support/shop.ts";
import type { Dependencies } from "./payments.dependencies.ts";

let shop: Shop;
beforeAll(async () => {
	shop = await startShop({ services: ["payments"] });
});
afterAll(() => shop?.stop());
const { chargeFully, decide, details, eventsOf, ledgerEntry, list, refund, reverse } =
	paymentActions(() => shop);
const query = (text: string, values?: unknown[]) => shop.databases.query("payments", text, values);
/** A captured payment of 10 whose refunds behave as the token says. */
async function captured(token: string) {
	const order = newOrder(token, 10);
	expect(await chargeFully(order)).toEqual([done]);
	const [payment] = await list(order.order_id);
	return { order, id: payment!.id };
}
/** Waits until the provider's result is recorded, if its response has exceeded the time limit. */
const becomes = (order: Order, expected: object) =>
	eventually(async () => expect(await details(order)).toMatchObject(expected));
const failedRefunds = async ({ order_id }: Order) =>
	(await shop.call("payments.failedRefunds", {})).filter((one) => one.order_id === order_id);

test("a pending refund reduces the refundable amount before it is paid", async () => {
	const { order, id } = await captured("tok_refund_pending");
	await refund(id, { amount: 4, reason: "Scratched" });
	expect(await details(order)).toMatchObject({
		status: "partially_refunded",
		refunded_amount: 4,
		refunds: [{ amount: 4, settled_at: null, failed_at: null }],
	});
	await expect(refund(id, { amount: 6.01 })).rejects.toMatchObject({ data: { left: 6 } });
	expect(await eventsOf(order)).toEqual(["payment.captured 10"]);
	expect(await decide(order, "succeed")).toEqual({ decided: true });
	await becomes(order, {
		refunds: [{ amount: 4, settled_at: expect.any(String), failed_at: null }],
	});
	expect(await eventsOf(order)).toEqual(["payment.captured 10", "payment.refunded 4"]);
});

test("a refund that fails after it was accepted makes its amount refundable again", async () => {
	const { order, id } = await captured("tok_refund_pending");
	await refund(id, { amount: 10 });
	expect(await list(order.order_id)).toMatchObject([{ status: "refunded" }]);
	await decide(order, "fail");
	await becomes(order, {
		status: "captured",
		refunded_amount: 0,
		refunds: [{ settled_at: null, failed_at: expect.any(String) }],
		transactions: expect.arrayContaining([
			expect.objectContaining({
				type: "refund_failed",
				state: "succeeded",
				amount: 10,
				reason: "The account is closed",
			}),
		]),
	});
	expect(await eventsOf(order)).toEqual(["payment.captured 10", "payment.refund_failed 10"]);
	expect(await failedRefunds(order)).toMatchObject([
		{ payment_id: id, amount: 10, currency: "EUR", failure_reason: "The account is closed" },
	]);
	await refund(id);
	expect(await failedRefunds(order)).toEqual([]);
	await decide(order, "succeed");
	expect(await ledgerEntry(order)).toEqual({ authorized: 0, charged: 10, refunded: 10 });
});

test("a refund that fails after it was paid is found without a webhook", async () => {
	const { order, id } = await captured("tok_refund_pending");
	await refund(id, { amount: 4 });
	await decide(order, "succeed");
	const { provider } = shop.broker.getLocalService("payments") as unknown as Dependencies;
	await provider.simulate!(order.order_id, "fail");
	await query("update refunds set next_at = now() where payment_id = $1", [id]);
	await eventually(async () =>
		expect(await eventsOf(order)).toEqual([
			"payment.captured 10",
			"payment.refunded 4",
			"payment.refund_failed 4",
		]),
	);
	expect(await details(order)).toMatchObject({ status: "captured", refunded_amount: 0 });
});

test("a settled refund is looked up at growing intervals for 30 days", async () => {
	const { order, id } = await captured("tok_ok");
	await refund(id, { amount: 4 });
	const hoursUntilLookup = async (attempts: number, age: string) => {
		await query(
			`update refunds set attempts = $2, next_at = now(), settled_at = now() - $3::interval
			where payment_id = $1`,
			[id, attempts, age],
		);
		return eventually(async () => {
			const [row] = await query(
				`select case when next_at = 'infinity' then null
					else round(extract(epoch from next_at - now()) / 3600)::int end as hours
				from refunds where payment_id = $1 and next_at > now()`,
				[id],
			);
			expect(row).toBeDefined();
			return row!.hours;
		});
	};
	expect(await hoursUntilLookup(0, "1 hour")).toBe(1);
	expect(await hoursUntilLookup(5, "2 days")).toBe(32);
	expect(await hoursUntilLookup(9, "31 days")).toBeNull();
	expect(await list(order.order_id)).toMatchObject([{ refunded_amount: 4 }]);
});

test("a refund that the provider refuses is not repeated", async () => {
	const { order, id } = await captured("tok_refund_fails");
	await refund(id, { amount: 4 });
	await becomes(order, {
		status: "captured",
		refunded_amount: 0,
		refunds: [{ failed_at: expect.any(String), failure_reason: "The account is closed" }],
	});
	expect(await failedRefunds(order)).toHaveLength(1);
	expect(await ledgerEntry(order)).toEqual({ authorized: 0, charged: 10, refunded: 0 });
});

test("a reversal ends when its refund is accepted; an operator repeats a failed one", async () => {
	const { order, id } = await captured("tok_refund_pending");
	expect(await reverse(order)).toEqual([done]);
	await expect(refund(id)).rejects.toMatchObject({ type: "NOT_REFUNDABLE" });
	await decide(order, "fail");
	expect(await failedRefunds(order)).toMatchObject([{ amount: 10 }]);
	expect(await reverse(order)).toEqual([done]);
	expect(await list(order.order_id)).toMatchObject([{ status: "captured" }]);
	await refund(id);
	await decide(order, "succeed");
	expect(await list(order.order_id)).toMatchObject([{ status: "refunded" }]);
	expect(await ledgerEntry(order)).toEqual({ authorized: 0, charged: 10, refunded: 10 });
});

test.each(["reversed", "The payment arrived after the order was cancelled"])(
	"a reversal returns the rest after a refund with the reason %p",
	async (reason) => {
		const { order, id } = await captured("tok_ok");
		await refund(id, { amount: 4, reason });
		expect(await reverse(order)).toEqual([done]);
		expect(await list(order.order_id)).toMatchObject([{ status: "refunded", refunded_amount: 10 }]);
		expect(await ledgerEntry(order)).toEqual({ authorized: 0, charged: 10, refunded: 10 });
		const events = await query("select data from outbox where subject = $1", [order.order_id]);
		expect(events.filter(({ data }) => "late" in (data as object))).toEqual([]);
	},
);

test("records a refund that was made at the provider", async () => {
	const { order, id } = await captured("tok_ok");
	await query(
		`with refund as (
			insert into ledger_refunds (key, charge_key, amount) values ($1, $2, 3))
		update ledger_charges set refunded = 3 where key = $2`,
		[`re_${uuid()}`, order.order_id],
	);
	const { lookups } = shop.broker.getLocalService("payments") as unknown as {
		lookups: { lookUp(orders: string[]): Promise<string[]> };
	};
	expect(await lookups.lookUp([order.order_id])).toEqual([]);
	expect(await details(order)).toMatchObject({
		status: "partially_refunded",
		refunded_amount: 3,
		refunds: [],
	});
	expect(await eventsOf(order)).toEqual(["payment.captured 10", "payment.refunded 3"]);
	await expect(refund(id, { amount: 8 })).rejects.toMatchObject({ data: { left: 7 } });
});

test("a dispute is recorded, blocks refunds, and may be reversed", async () => {
	const { order, id } = await captured("tok_ok");
	await refund(id, { amount: 4 });
	await decide(order, "dispute");
	expect(await details(order)).toMatchObject({
		status: "disputed",
		refunded_amount: 4,
		transactions: expect.arrayContaining([
			expect.objectContaining({ type: "dispute", amount: 6, reason: "fraudulent" }),
		]),
	});
	await expect(refund(id, { amount: 1 })).rejects.toMatchObject({ type: "NOT_REFUNDABLE" });
	expect(await chargeFully(order)).toEqual([done]);
	await decide(order, "reverse_dispute");
	expect(await details(order)).toMatchObject({ status: "partially_refunded" });
	await refund(id);
	expect(await eventsOf(order)).toEqual([
		"payment.captured 10",
		"payment.refunded 4",
		"payment.disputed 6",
		"payment.dispute_reversed 6",
		"payment.refunded 6",
	]);
});

test("pays out a disputed payment of a reversed order after the dispute is won", async () => {
	const { order } = await captured("tok_ok");
	await decide(order, "dispute");
	expect(await reverse(order)).toEqual([done]);
	expect(await ledgerEntry(order)).toMatchObject({ refunded: 0 });
	await decide(order, "reverse_dispute");
	expect(await list(order.order_id)).toMatchObject([{ status: "refunded" }]);
	await eventually(async () => expect(await ledgerEntry(order)).toMatchObject({ refunded: 10 }));
});

test("transactions show every step once, in major units", async () => {
	const order = { ...newOrder("tok_ok", 150), currency: "JPY" };
	await chargeFully(order);
	const { id } = (await list(order.order_id))[0]!;
	await refund(id, { amount: 50 });
	const { transactions } = await details(order);
	expect(transactions.map(({ type, state, amount }) => `${type} ${state} ${amount}`)).toEqual([
		"capture succeeded 150",
		"refund requested 50",
		"refund succeeded 50",
	]);
	expect(transactions[0]!.reference).toBe(order.order_id);
	expect(transactions[1]!.reference).toBe(transactions[2]!.reference);
	const [stored] = await query(
		"select sum(amount)::int as units from payment_transactions where payment_id = $1",
		[id],
	);
	expect(stored).toEqual({ units: 250 });
});

describe("an amount that the provider cannot refund exactly", () => {
	const message = "The payment provider cannot refund exactly 1.234 KWD";
	const refundPart = ({ order_id }: Order, amount: number) =>
		shop.call("payments.refundOrders", {
			orders: [{ order_id, refund_id: uuid(), amount, reason: null }],
		});
	let provider: { canRefund?: (amount: number, currency: string) => boolean };
	beforeAll(() => {
		provider = (shop.broker.getLocalService("payments") as unknown as Dependencies).provider;
		provider.canRefund = (amount) => Math.round(amount * 1000) % 10 === 0;
	});
	afterAll(() => {
		delete provider.canRefund;
	});

	test("is rejected, and nothing is recorded", async () => {
		const order = { ...newOrder("tok_ok", 10), currency: "KWD" };
		expect(await chargeFully(order)).toEqual([done]);
		const { id } = (await list(order.order_id))[0]!;
		await expect(refund(id, { amount: 1.234 })).rejects.toMatchObject({
			code: 422,
			data: { errors: [{ field: "amount", message }] },
		});
		expect(await refundPart(order, 1.234)).toEqual([
			{ status: "refused", code: "NOT_REFUNDABLE", detail: message },
		]);
		expect(await list(order.order_id)).toMatchObject([{ status: "captured", refunds: [] }]);
		await refund(id, { amount: 1.23 });
		expect(await refundPart(order, 8.77)).toEqual([done]);
		expect(await ledgerEntry(order)).toMatchObject({ refunded: 10 });
	});
});

describe("a part of an order", () => {
	const refundPart = (order: Order, refund_id: string, amount: number) =>
		shop.call("payments.refundOrders", {
			orders: [{ order_id: order.order_id, refund_id, amount, reason: "Broken" }],
		});

	test("is refunded once by the ID of the refund, also by concurrent calls", async () => {
		const { order } = await captured("tok_ok");
		const id = uuid();
		const calls = Array.from({ length: 3 }, () => refundPart(order, id, 4));
		expect(await Promise.all(calls)).toEqual([[done], [done], [done]]);
		expect(await details(order)).toMatchObject({
			refunded_amount: 4,
			refunds: [{ id, amount: 4, reason: "Broken", settled_at: expect.any(String) }],
		});
		expect(await ledgerEntry(order)).toMatchObject({ refunded: 4 });
	});

	test("cannot exceed the remaining amount, and is refused without a charge", async () => {
		const { order } = await captured("tok_ok");
		await refundPart(order, uuid(), 7);
		const id = uuid();
		const refusal = { status: "refused", code: "NOT_REFUNDABLE" };
		expect(await refundPart(order, id, 3.01)).toMatchObject([{ ...refusal, data: { left: 3 } }]);
		expect(await refundPart(newOrder(), id, 1)).toMatchObject([refusal]);
		const cancelled = newOrder();
		await reverse(cancelled);
		expect(await refundPart(cancelled, id, 1)).toMatchObject([refusal]);
		expect(await refundPart(order, id, 3)).toEqual([done]);
	});
});
