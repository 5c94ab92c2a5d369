import { afterAll, beforeAll, expect, test } from "@jest/globals";
import { v7 as uuid } from "uuid";
import type { Meta } from "../../lib/contracts/contract.ts";
import { eventually } from "../../test/support/eventually.ts";
import { stubbedServices, token } from "../../test/support/gateway.ts";
import {
	command,
	done,
	holdSlowCards,
	newOrder,
	type Order,
	paymentActions,
	reversed,
	startPaymentNodes,
} from "../../test/support/payments.ts";
import { orderSummaryRecord } from "../../test/support/records.ts";
import { admin, type Shop, stub } from "../../test/support/shop.ts";
import { orders } from "../orders/orders.contract.ts";
import { NOTHING_LEFT } from "./payments.rules.ts";

/** Accounts that guests' orders have joined, by order ID. */
const joined = new Map<string, string>();
const stubbedOrders = () =>
	stub(orders, {
		summaries: async ({ params: { ids } }) =>
			ids.map((id) => orderSummaryRecord({ id, user_id: joined.get(id) ?? null })),
	});
let shop: Shop;
/** A second node on the same database. */
let second: Shop;
beforeAll(async () => {
	[shop, second] = await startPaymentNodes({
		services: ["payments", "api"],
		stubs: [...stubbedServices().filter(({ name }) => name !== "orders"), stubbedOrders()],
	});
});
afterAll(async () => {
	await second?.stop();
	await shop?.stop();
});
const { charge, list, chargeFully, reverse, refund, capturedPayment, ledgerBalance, eventsOf } =
	paymentActions(() => shop);

test("charges an order once when the command is repeated", async () => {
	const order = newOrder();
	expect(await chargeFully(order, order)).toEqual([done, done]);
	expect(await chargeFully(order)).toEqual([done]);
	expect(await ledgerBalance(order)).toEqual({ charges: 1, balance: 19.99 });
	expect(await eventsOf(order)).toEqual(["payment.captured 19.99"]);
	const payment = {
		status: "captured",
		amount: 19.99,
		refunded_amount: 0,
		user_id: order.user_id,
		voided_at: null,
		refunds: [],
	};
	const at = expect.any(String);
	expect(await list(order.order_id)).toMatchObject([
		{ ...payment, authorized_at: at, captured_at: at },
	]);
});

test("refuses a declined card with the reason, also when the charge is repeated", async () => {
	const [declined, unknown] = [newOrder("tok_declined"), newOrder("tok_unknown")];
	const refusals = [
		{ status: "refused", code: "PAYMENT_DECLINED", detail: "card declined" },
		{ status: "refused", code: "PAYMENT_DECLINED", detail: "unknown payment method" },
	];
	expect(await chargeFully(declined, unknown)).toEqual(refusals);
	expect(await chargeFully({ ...declined, payment_token: "tok_ok" }, unknown)).toEqual(refusals);
	expect(await ledgerBalance(declined)).toEqual({ charges: 0, balance: 0 });
	expect(await eventsOf(declined)).toEqual(["payment.declined"]);
	const [payment] = await list(declined.order_id);
	expect(payment).toMatchObject({ status: "declined" });
	const notRefundable = { type: "NOT_REFUNDABLE", message: NOTHING_LEFT };
	await expect(refund(payment!.id, { amount: 1 })).rejects.toMatchObject(notRefundable);
	expect(await reverse(declined)).toEqual([done]);
	expect(await list(declined.order_id)).toMatchObject([{ status: "declined" }]);
	expect(await eventsOf(declined)).toEqual(["payment.declined"]);
});

test("slow, flaky and silent cards do not affect other orders and are charged once", async () => {
	const [ok, slow, flaky, declined, timeout] = [
		newOrder(),
		newOrder("tok_slow"),
		newOrder("tok_flaky"),
		newOrder("tok_declined"),
		newOrder("tok_timeout"),
	];
	const batch = [slow, ok, flaky, declined, timeout];
	const held = holdSlowCards(shop);
	const first = await eventually(async () => {
		const outcomes = await charge(...batch);
		expect(outcomes[1]).toEqual(done);
		expect(outcomes[3]).toMatchObject({ code: "PAYMENT_DECLINED" });
		return outcomes;
	});
	expect(first[0]).toEqual({ status: "pending" });
	expect(await ledgerBalance(slow)).toEqual({ charges: 0, balance: 0 });
	await held.release();
	expect(await chargeFully(...batch)).toEqual([
		done,
		done,
		done,
		expect.objectContaining({ code: "PAYMENT_DECLINED" }),
		done,
	]);
	for (const one of [ok, slow, flaky, timeout]) {
		expect(await ledgerBalance(one)).toEqual({ charges: 1, balance: 19.99 });
		expect((await eventsOf(one)).at(-1)).toBe("payment.captured 19.99");
	}
});

test("charges a flaky card at the third attempt, counted across nodes", async () => {
	const order = newOrder("tok_flaky");
	expect(await charge(order)).toEqual([{ status: "pending" }]);
	expect(await second.call("payments.charge", { orders: [order] })).toEqual([
		{ status: "pending" },
	]);
	expect(await chargeFully(order)).toEqual([done]);
	const [{ attempts }] = (await shop.databases.query(
		"payments",
		"select attempts from ledger_attempts where key = $1",
		[order.order_id],
	)) as [{ attempts: number }];
	expect(attempts).toBe(3);
});

test("two nodes that charge the same orders concurrently charge each once", async () => {
	const tokens = ["tok_ok", "tok_flaky", "tok_timeout", "tok_ok", "tok_declined"];
	const orders = Array.from({ length: 40 }, (_, n) => newOrder(tokens[n % tokens.length]));
	const chargeOn = (node: Shop, some: Order[]) => node.call("payments.charge", { orders: some });
	await Promise.all([
		chargeOn(shop, orders),
		chargeOn(second, orders.toReversed()),
		chargeOn(shop, orders.toReversed()),
		chargeOn(second, orders),
	]);
	const outcomes = await chargeFully(...orders);
	for (const [n, order] of orders.entries()) {
		const isValid = order.payment_token !== "tok_declined";
		expect(outcomes[n]!.status).toBe(isValid ? "done" : "refused");
		expect(await ledgerBalance(order)).toEqual(
			isValid ? { charges: 1, balance: 19.99 } : { charges: 0, balance: 0 },
		);
		const finalEvents = (await eventsOf(order)).filter(
			(line) => line !== "payment.authorized 19.99",
		);
		expect(finalEvents).toEqual([isValid ? "payment.captured 19.99" : "payment.declined"]);
	}
});

test("a reversal refunds the whole amount once and rejects later charges", async () => {
	const { order } = await capturedPayment();
	expect(await reverse(order, order)).toEqual([done, done]);
	expect(await reverse(order)).toEqual([done]);
	expect(await chargeFully(order)).toEqual([reversed]);
	expect(await ledgerBalance(order)).toEqual({ charges: 1, balance: 0 });
	expect(await eventsOf(order)).toEqual(["payment.captured 19.99", "payment.refunded 19.99"]);
	expect(await list(order.order_id)).toMatchObject([
		{ status: "refunded", refunded_amount: 19.99 },
	]);
});

test("rejects a late charge after a reversal left a tombstone", async () => {
	const order = newOrder();
	expect(await reverse(order)).toEqual([done]);
	expect(await chargeFully(order)).toEqual([reversed]);
	expect(await ledgerBalance(order)).toEqual({ charges: 0, balance: 0 });
	expect(await eventsOf(order)).toEqual([]);
	expect(await list(order.order_id)).toEqual([]);
});

test("refunds parts and then the rest, but not more", async () => {
	const { order, id } = await capturedPayment(10);
	expect(await refund(id, { amount: 2.5, reason: "Scratched" })).toMatchObject({
		status: "partially_refunded",
		refunded_amount: 2.5,
	});
	await expect(refund(id, { amount: 7.51 })).rejects.toMatchObject({
		code: 409,
		type: "NOT_REFUNDABLE",
		data: { left: 7.5 },
	});
	expect(await refund(id)).toMatchObject({ status: "refunded", refunded_amount: 10 });
	await expect(refund(id)).rejects.toMatchObject({ type: "NOT_REFUNDABLE", message: NOTHING_LEFT });
	expect(await ledgerBalance(order)).toEqual({ charges: 1, balance: 0 });
	expect(await eventsOf(order)).toEqual([
		"payment.captured 10",
		"payment.refunded 2.5",
		"payment.refunded 7.5",
	]);
	const [payment] = await list(order.order_id);
	const at = expect.stringMatching(/^\d{4}-\d\d-\d\dT.*Z$/);
	expect(payment!.refunds).toMatchObject([
		{ amount: 2.5, reason: "Scratched", created_at: at, settled_at: at },
		{ amount: 7.5, reason: null, settled_at: at },
	]);
	expect(await chargeFully(order)).toEqual([done]);
});

test("a reversal refunds the rest after partial refunds", async () => {
	const { order, id } = await capturedPayment(10);
	await refund(id, { amount: 4 });
	expect(await reverse(order)).toEqual([done]);
	expect(await eventsOf(order)).toEqual([
		"payment.captured 10",
		"payment.refunded 4",
		"payment.refunded 6",
	]);
	expect(await ledgerBalance(order)).toEqual({ charges: 1, balance: 0 });
	await expect(refund(id, { amount: 1 })).rejects.toMatchObject({ type: "NOT_REFUNDABLE" });
});

test("concurrent refunds never exceed the captured amount", async () => {
	const { order, id } = await capturedPayment(10);
	const results = await Promise.allSettled(
		Array.from({ length: 8 }, () => refund(id, { amount: 3 })),
	);
	expect(results.filter(({ status }) => status === "fulfilled")).toHaveLength(3);
	expect(await list(order.order_id)).toMatchObject([
		{ status: "partially_refunded", refunded_amount: 9 },
	]);
	await eventually(async () =>
		expect(await ledgerBalance(order)).toEqual({ charges: 1, balance: 1 }),
	);
});

test("concurrent refunds and a reversal refund exactly the captured amount", async () => {
	for (let round = 0; round < 10; round++) {
		const { order, id } = await capturedPayment(10);
		const refunds = [3, 3, 5].map((amount) => refund(id, { amount }).catch(() => undefined));
		await Promise.all([
			...refunds,
			reverse(order),
			second.call("payments.reverse", command([order])),
		]);
		expect(await reverse(order)).toEqual([done]);
		expect(await ledgerBalance(order)).toEqual({ charges: 1, balance: 0 });
		const amounts = (await eventsOf(order)).slice(1).map((line) => Number(line.split(" ")[1]));
		expect(amounts.reduce((sum, amount) => sum + amount, 0)).toBe(10);
	}
});

test("executes a refund with an Idempotency-Key once and rejects a different body", async () => {
	const { order, id } = await capturedPayment(10);
	const metas = Array.from({ length: 3 }, (): Meta => ({ idempotency_key: `refund of ${id}` }));
	const responses = await Promise.all(
		metas.map((meta) =>
			shop.call("payments.refund", { id, amount: 4 }, { meta: { user: admin, ...meta } }),
		),
	);
	expect(responses[1]).toEqual(responses[0]);
	expect(responses[2]).toEqual(responses[0]);
	expect(await list(order.order_id)).toMatchObject([{ refunded_amount: 4 }]);
	await expect(refund(id, { amount: 5 }, metas[0])).rejects.toMatchObject({
		code: 422,
		type: "IDEMPOTENCY_KEY_REUSED",
	});
	expect(await refund(id, { amount: 4 }, { idempotency_key: "another" })).toMatchObject({
		refunded_amount: 8,
	});
});

test("replays the response of a repeated HTTP request and rejects invalid ones", async () => {
	const { order, id } = await capturedPayment(10);
	const post = (body: unknown, headers = {}, to = id) =>
		shop.http(`POST /api/payments/${to}/refunds`, {
			token: token(shop.env, "admin", admin!.id),
			body,
			headers,
		});
	const invalidBodies = [
		{ amount: "4" },
		{ amount: 0 },
		{ amount: 1e12 },
		{ amount: null },
		{ reason: "\0" },
		{ reason: "x".repeat(501) },
		{ all: 1 },
	];
	for (const body of invalidBodies)
		expect(await post(body)).toMatchObject({ status: 422, body: { code: "VALIDATION_ERROR" } });
	expect(await post({}, {}, uuid())).toMatchObject({
		status: 404,
		body: { code: "PAYMENT_NOT_FOUND" },
	});
	expect(await post({ amount: 10.01 })).toMatchObject({
		status: 409,
		body: { code: "NOT_REFUNDABLE", left: 10 },
	});
	const key = { "Idempotency-Key": `refund of ${id}` };
	const first = await post({ amount: 4, reason: "Scratched" }, key);
	const again = await post({ reason: "Scratched", amount: 4 }, key);
	expect(first).toMatchObject({ status: 201, body: { refunded_amount: 4 } });
	expect(again).toMatchObject({ status: 201, body: first.body });
	expect([first, again].map(({ headers }) => headers.get("idempotent-replayed"))).toEqual([
		null,
		"true",
	]);
	expect(await post({ amount: 5 }, key)).toMatchObject({
		status: 422,
		body: { code: "IDEMPOTENCY_KEY_REUSED" },
	});
	expect(await eventsOf(order)).toEqual(["payment.captured 10", "payment.refunded 4"]);
	const listAs = (sub: string) =>
		shop.http(`GET /api/payments?order_id=${order.order_id}`, {
			token: token(shop.env, "user", sub),
		});
	const { refunds: _, ...rest } = first.body;
	expect(await listAs(order.user_id)).toMatchObject({ status: 200, body: [rest] });
	expect(await listAs(uuid())).toMatchObject({ status: 200, body: [] });
	expect(await shop.http("GET /api/payments", { token: token(shop.env) })).toMatchObject({
		status: 422,
	});
});

test("the payment of a guest has no user, and only admins see it", async () => {
	const order = { ...newOrder(), user_id: null };
	expect(await chargeFully(order)).toEqual([done]);
	const [payment] = await list(order.order_id);
	expect(payment).toMatchObject({ user_id: null, status: "captured" });
	const { id } = payment!;
	const get = (user: Meta["user"]) => shop.call("payments.get", { id }, { meta: { user } });
	expect(await get(admin)).toMatchObject({ user_id: null });
	const stranger = { id: uuid(), email: "stranger@example.com", role: "user" as const };
	expect(await list(order.order_id, stranger)).toEqual([]);
	await expect(get(stranger)).rejects.toMatchObject({ type: "PAYMENT_NOT_FOUND" });
	expect(await refund(id, { amount: 5 })).toMatchObject({ user_id: null, refunded_amount: 5 });
	expect(await reverse(order)).toEqual([done]);
	expect(await list(order.order_id)).toMatchObject([{ status: "refunded" }]);
});

test("an account sees the payment of a guest's order that has joined it", async () => {
	const order = { ...newOrder(), user_id: null };
	expect(await chargeFully(order)).toEqual([done]);
	const { id } = (await list(order.order_id))[0]!;
	const readAs = async (sub: string) => {
		const credentials = { token: token(shop.env, "user", sub) };
		const listed = await shop.http(`GET /api/payments?order_id=${order.order_id}`, credentials);
		return [listed, await shop.http(`GET /api/payments/${id}`, credentials)];
	};
	const owner = uuid();
	const hidden = [{ status: 200, body: [] }, { status: 404 }];
	expect(await readAs(owner)).toMatchObject(hidden);
	joined.set(order.order_id, owner);
	expect(await readAs(owner)).toMatchObject([
		{ status: 200, body: [{ id, status: "captured" }] },
		{ status: 200, body: { id, transactions: [{ type: "capture" }] } },
	]);
	expect(await readAs(uuid())).toMatchObject(hidden);
});

test("only the owner and admins see payments, and only admins refund them", async () => {
	const { order, id } = await capturedPayment();
	const user = (id: string): Meta["user"] => ({ id, email: "user@example.com", role: "user" });
	expect(await list(order.order_id, user(order.user_id))).toMatchObject([{ id }]);
	expect(await list(order.order_id)).toMatchObject([{ id }]);
	expect(await list(order.order_id, user(uuid()))).toEqual([]);
	expect(await list(uuid())).toEqual([]);
	await expect(list(order.order_id, null)).rejects.toMatchObject({ code: 401 });
	await expect(refund(id, {}, { user: user(order.user_id) })).rejects.toMatchObject({ code: 403 });
	await expect(refund(uuid())).rejects.toMatchObject({ code: 404, type: "PAYMENT_NOT_FOUND" });
	for (const amount of [0, -1, 0.001])
		await expect(refund(id, { amount })).rejects.toMatchObject({ code: 422 });
	expect(await list(order.order_id)).toMatchObject([{ status: "captured" }]);
});
