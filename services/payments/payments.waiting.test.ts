import { afterAll, beforeAll, expect, test } from "@jest/globals";
import { eventually } from "../../test/support/eventually.ts";
import { done, newOrder, type Order, paymentActions } from "../../test/support/payments.ts";
import { type Shop, startShop } from "../../test/support/shop.ts";
import type { Dependencies } from "./payments.dependencies.ts";
import type { Simulation } from "./providers/provider.ts";

let shop: Shop;
beforeAll(async () => {
	shop = await startShop({ services: ["payments"] });
});
afterAll(() => shop?.stop());
const { chargeFully, decide, details, eventsOf, ledgerEntry, list, reverse } = paymentActions(
	() => shop,
);
/** Decides at the provider only, as if its webhook was lost. */
const decideUnnoticed = ({ order_id }: Order, result: Simulation) => {
	const { provider } = shop.broker.getLocalService("payments") as unknown as Dependencies;
	return provider.simulate!(order_id, result);
};
/** Makes the poller look a payment up soon. */
const makeDue = ({ order_id }: Order) =>
	shop.databases.query(
		"payments",
		`update payments set updated_at = now() - interval '1 minute', check_at = now()
		where order_id = $1`,
		[order_id],
	);
const transactionsOf = async (order: Order) =>
	(await details(order)).transactions.map(
		({ type, state, amount }) => `${type} ${state} ${amount}`,
	);

test("a payment that requires an action is captured after the buyer confirmed", async () => {
	const order = newOrder("tok_3ds");
	const [waiting] = await chargeFully(order);
	const data = { status: "requires_action", client_secret: `simulated_${order.order_id}` };
	expect(waiting).toMatchObject({ status: "waiting", data });
	const minutes = (Date.parse(waiting!.deadline!) - Date.now()) / 60_000;
	expect(minutes).toBeGreaterThan(25);
	expect(minutes).toBeLessThanOrEqual(31);
	expect(await chargeFully(order)).toEqual([waiting]);
	expect(await details(order)).toMatchObject({
		...data,
		expires_at: waiting!.deadline,
		captured_at: null,
	});
	expect(await decide(order, "succeed")).toEqual({ decided: true });
	expect(await decide(order, "succeed")).toEqual({ decided: false });
	expect(await chargeFully(order)).toEqual([done]);
	expect(await details(order)).toMatchObject({
		status: "captured",
		client_secret: null,
		expires_at: null,
		captured_at: expect.any(String),
	});
	expect(await transactionsOf(order)).toEqual([
		"authorization requested 19.99",
		"capture succeeded 19.99",
	]);
	expect(await eventsOf(order)).toEqual(["payment.captured 19.99", "payment.updated"]);
});

test("a payment whose buyer is not authenticated is declined", async () => {
	const order = newOrder("tok_3ds");
	await chargeFully(order);
	await decide(order, "fail");
	expect(await chargeFully(order)).toEqual([
		{ status: "refused", code: "PAYMENT_DECLINED", detail: "authentication failed" },
	]);
	expect(await list(order.order_id)).toMatchObject([{ status: "declined", expires_at: null }]);
	expect(await eventsOf(order)).toEqual(["payment.declined", "payment.updated"]);
	expect(await reverse(order)).toEqual([done]);
});

test("a debit is processing without a deadline until the bank has decided", async () => {
	const order = newOrder("tok_debit");
	const waiting = { status: "waiting", data: { status: "processing", expires_at: null } };
	expect(await chargeFully(order)).toEqual([waiting]);
	await decide(order, "succeed");
	expect(await chargeFully(order)).toEqual([done]);
	expect(await eventsOf(order)).toEqual(["payment.captured 19.99", "payment.updated"]);
});

test("the poller records a decision whose webhook was lost", async () => {
	const [paid, failed] = [newOrder("tok_3ds"), newOrder("tok_debit")];
	await chargeFully(paid, failed);
	await decideUnnoticed(paid, "succeed");
	await decideUnnoticed(failed, "fail");
	await Promise.all([makeDue(paid), makeDue(failed)]);
	await eventually(async () => {
		expect(await eventsOf(paid)).toEqual(["payment.captured 19.99", "payment.updated"]);
		expect(await eventsOf(failed)).toEqual(["payment.declined", "payment.updated"]);
	});
});

test("a reversal closes an unconfirmed payment, which cannot be confirmed afterwards", async () => {
	const order = newOrder("tok_3ds");
	await chargeFully(order);
	expect(await reverse(order)).toEqual([done]);
	expect(await decide(order, "succeed")).toEqual({ decided: false });
	expect(await list(order.order_id)).toMatchObject([{ status: "voided" }]);
	expect(await eventsOf(order)).toEqual(["payment.voided 19.99", "payment.updated"]);
	expect(await chargeFully(order)).toEqual([{ status: "refused", code: "REVERSED" }]);
});

test("money that arrives after the reversal is refunded once, and the event says so", async () => {
	const order = newOrder("tok_debit");
	await chargeFully(order);
	expect(await reverse(order)).toEqual([done]);
	expect(await list(order.order_id)).toMatchObject([{ status: "processing" }]);
	await decideUnnoticed(order, "succeed");
	await makeDue(order);
	await eventually(async () =>
		expect(await list(order.order_id)).toMatchObject([
			{ status: "refunded", refunded_amount: 19.99 },
		]),
	);
	await eventually(async () =>
		expect(await ledgerEntry(order)).toEqual({ authorized: 0, charged: 19.99, refunded: 19.99 }),
	);
	await eventually(async () =>
		expect(await eventsOf(order)).toEqual([
			"payment.captured 19.99",
			"payment.updated",
			"payment.refunded 19.99",
		]),
	);
	const [event] = await shop.databases.query(
		"payments",
		"select data->>'late' as late from outbox where subject = $1 and type = 'payment.refunded'",
		[order.order_id],
	);
	expect(event).toEqual({ late: "true" });
	expect(await reverse(order)).toEqual([done]);
	expect(await ledgerEntry(order)).toEqual({ authorized: 0, charged: 19.99, refunded: 19.99 });
});

test("a debit that fails after the reversal ends without money", async () => {
	const order = newOrder("tok_debit");
	await chargeFully(order);
	expect(await reverse(order)).toEqual([done]);
	await decide(order, "fail");
	expect(await list(order.order_id)).toMatchObject([{ status: "declined", refunded_amount: 0 }]);
	expect(await ledgerEntry(order)).toEqual({ authorized: 0, charged: 0, refunded: 0 });
});
