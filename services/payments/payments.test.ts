import { afterAll, beforeAll, expect, test } from "@jest/globals";
import { v7 as uuid } from "uuid";
import type { Meta } from "../../lib/contracts/contract.ts";
import { eventually } from "../../test/support/eventually.ts";
import { neighbours, token } from "../../test/support/gateway.ts";
import {
	done,
	type Order,
	only,
	order,
	reversed,
	startPayments,
} from "../../test/support/payments.ts";
import { admin, type Shop, startShop } from "../../test/support/shop.ts";

let shop: Shop;
/** Another node on the same database. */
let second: Shop;
beforeAll(async () => {
	shop = await startShop({ services: ["payments", "api"], stubs: neighbours() });
	second = await startShop({
		services: ["payments"],
		env: { DATABASE_URL: shop.databases.pattern },
	});
});
afterAll(async () => {
	await second?.stop();
	await shop?.stop();
});
const { charge, list, settled, reverse, refund, captured, ledger, told } = startPayments(
	() => shop,
);

test("an order is charged once, however often it is asked for", async () => {
	const mine = order();
	expect(await settled(mine, mine)).toEqual([done, done]);
	expect(await settled(mine)).toEqual([done]);
	expect(await ledger(mine)).toEqual({ charges: 1, balance: 19.99 });
	expect(await told(mine)).toEqual(["payment.captured 19.99"]);
	const payment = {
		status: "captured",
		amount: 19.99,
		refunded_amount: 0,
		user_id: mine.user_id,
		voided_at: null,
		refunds: [],
	};
	const at = expect.any(String);
	expect(await list(mine.order_id)).toMatchObject([
		{ ...payment, authorized_at: at, captured_at: at },
	]);
});

test("a card that is declined is refused with the reason, and stays so", async () => {
	const [bad, unknown] = [order("tok_declined"), order("tok_of_nobody")];
	const refusals = [
		{ status: "refused", code: "PAYMENT_DECLINED", detail: "card declined" },
		{ status: "refused", code: "PAYMENT_DECLINED", detail: "unknown payment method" },
	];
	expect(await settled(bad, unknown)).toEqual(refusals);
	expect(await settled({ ...bad, payment_token: "tok_ok" }, unknown)).toEqual(refusals);
	expect(await ledger(bad)).toEqual({ charges: 0, balance: 0 });
	expect(await told(bad)).toEqual(["payment.declined"]);
	expect(await list(bad.order_id)).toMatchObject([{ status: "declined" }]);
	expect(await reverse(bad)).toEqual([done]);
	expect(await list(bad.order_id)).toMatchObject([{ status: "declined" }]);
	expect(await told(bad)).toEqual(["payment.declined"]);
});

test("slow, flaky and silent cards neither delay nor fail their neighbours, and end charged once", async () => {
	const [ok, slow, flaky, bad, timeout] = [
		order(),
		order("tok_slow"),
		order("tok_flaky"),
		order("tok_declined"),
		order("tok_timeout"),
	];
	const batch = [slow, ok, flaky, bad, timeout];
	const first = await eventually(async () => {
		const outcomes = await charge(...batch);
		expect(outcomes[1]).toEqual(done);
		expect(outcomes[3]).toMatchObject({ code: "PAYMENT_DECLINED" });
		return outcomes;
	});
	expect(first[0]).toEqual({ status: "pending" });
	expect(await ledger(slow)).toEqual({ charges: 0, balance: 0 });
	expect(await settled(...batch)).toEqual([
		done,
		done,
		done,
		expect.objectContaining({ code: "PAYMENT_DECLINED" }),
		done,
	]);
	for (const one of [ok, slow, flaky, timeout]) {
		expect(await ledger(one)).toEqual({ charges: 1, balance: 19.99 });
		expect((await told(one)).at(-1)).toBe("payment.captured 19.99");
	}
});

test("a flaky card works at the third try, wherever the tries are made", async () => {
	const mine = order("tok_flaky");
	expect(await charge(mine)).toEqual([{ status: "pending" }]);
	expect(await second.call("payments.charge", { orders: [mine] })).toEqual([{ status: "pending" }]);
	expect(await settled(mine)).toEqual([done]);
	const [{ attempts }] = (await shop.databases.query(
		"payments",
		"select attempts from ledger_attempts where key = $1",
		[mine.order_id],
	)) as [{ attempts: number }];
	expect(attempts).toBe(3);
});

test("two nodes that charge the same orders at the same time charge each of them once", async () => {
	const tokens = ["tok_ok", "tok_flaky", "tok_timeout", "tok_ok", "tok_declined"];
	const orders = Array.from({ length: 40 }, (_, n) => order(tokens[n % tokens.length]));
	const ask = (node: Shop, some: Order[]) => node.call("payments.charge", { orders: some });
	await Promise.all([
		ask(shop, orders),
		ask(second, orders.toReversed()),
		ask(shop, orders.toReversed()),
		ask(second, orders),
	]);
	const outcomes = await settled(...orders);
	for (const [n, mine] of orders.entries()) {
		const works = mine.payment_token !== "tok_declined";
		expect(outcomes[n]!.status).toBe(works ? "done" : "refused");
		expect(await ledger(mine)).toEqual(
			works ? { charges: 1, balance: 19.99 } : { charges: 0, balance: 0 },
		);
		const ends = (await told(mine)).filter((line) => line !== "payment.authorized 19.99");
		expect(ends).toEqual([works ? "payment.captured 19.99" : "payment.declined"]);
	}
});

test("a reversal pays back all, once, and no charge comes after it", async () => {
	const { mine } = await captured();
	expect(await reverse(mine, mine)).toEqual([done, done]);
	expect(await reverse(mine)).toEqual([done]);
	expect(await settled(mine)).toEqual([reversed]);
	expect(await ledger(mine)).toEqual({ charges: 1, balance: 0 });
	expect(await told(mine)).toEqual(["payment.captured 19.99", "payment.refunded 19.99"]);
	expect(await list(mine.order_id)).toMatchObject([{ status: "refunded", refunded_amount: 19.99 }]);
});

test("an undo that comes before its do leaves a tombstone, and the late do is refused", async () => {
	const mine = order();
	expect(await reverse(mine)).toEqual([done]);
	expect(await settled(mine)).toEqual([reversed]);
	expect(await ledger(mine)).toEqual({ charges: 0, balance: 0 });
	expect(await told(mine)).toEqual([]);
	expect(await list(mine.order_id)).toEqual([]);
});

test("refunds pay back parts, then the rest, and not a cent more", async () => {
	const { mine, id } = await captured(10);
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
	await expect(refund(id)).rejects.toMatchObject({ type: "NOT_REFUNDABLE" });
	expect(await ledger(mine)).toEqual({ charges: 1, balance: 0 });
	expect(await told(mine)).toEqual([
		"payment.captured 10",
		"payment.refunded 2.5",
		"payment.refunded 7.5",
	]);
	const [payment] = await list(mine.order_id);
	const at = expect.stringMatching(/^\d{4}-\d\d-\d\dT.*Z$/);
	expect(payment!.refunds).toMatchObject([
		{ amount: 2.5, reason: "Scratched", created_at: at, settled_at: at },
		{ amount: 7.5, reason: null, settled_at: at },
	]);
	expect(await settled(mine)).toEqual([done]);
});

test("a reversal pays back what refunds have left", async () => {
	const { mine, id } = await captured(10);
	await refund(id, { amount: 4 });
	expect(await reverse(mine)).toEqual([done]);
	expect(await told(mine)).toEqual([
		"payment.captured 10",
		"payment.refunded 4",
		"payment.refunded 6",
	]);
	expect(await ledger(mine)).toEqual({ charges: 1, balance: 0 });
	await expect(refund(id, { amount: 1 })).rejects.toMatchObject({ type: "NOT_REFUNDABLE" });
});

test("refunds at the same time never pay back more than was paid", async () => {
	const { mine, id } = await captured(10);
	const tries = await Promise.allSettled(
		Array.from({ length: 8 }, () => refund(id, { amount: 3 })),
	);
	expect(tries.filter(({ status }) => status === "fulfilled")).toHaveLength(3);
	expect(await list(mine.order_id)).toMatchObject([
		{ status: "partially_refunded", refunded_amount: 9 },
	]);
	await eventually(async () => expect(await ledger(mine)).toEqual({ charges: 1, balance: 1 }));
});

test("refunds and a reversal at the same time pay back exactly what was paid", async () => {
	for (let round = 0; round < 10; round++) {
		const { mine, id } = await captured(10);
		const refunds = [3, 3, 5].map((amount) => refund(id, { amount }).catch(() => undefined));
		await Promise.all([...refunds, reverse(mine), second.call("payments.reverse", only([mine]))]);
		expect(await reverse(mine)).toEqual([done]);
		expect(await ledger(mine)).toEqual({ charges: 1, balance: 0 });
		const amounts = (await told(mine)).slice(1).map((line) => Number(line.split(" ")[1]));
		expect(amounts.reduce((sum, amount) => sum + amount, 0)).toBe(10);
	}
});

test("a refund under an Idempotency-Key happens once and is answered alike, but not with another body", async () => {
	const { mine, id } = await captured(10);
	const metas = Array.from({ length: 3 }, (): Meta => ({ idempotency_key: `refund of ${id}` }));
	const answers = await Promise.all(
		metas.map((meta) =>
			shop.call("payments.refund", { id, amount: 4 }, { meta: { user: admin, ...meta } }),
		),
	);
	expect(answers[1]).toEqual(answers[0]);
	expect(answers[2]).toEqual(answers[0]);
	expect(await list(mine.order_id)).toMatchObject([{ refunded_amount: 4 }]);
	await expect(refund(id, { amount: 5 }, metas[0])).rejects.toMatchObject({
		code: 422,
		type: "IDEMPOTENCY_KEY_REUSED",
	});
	expect(await refund(id, { amount: 4 }, { idempotency_key: "another" })).toMatchObject({
		refunded_amount: 8,
	});
});

test("over HTTP the same request again has the same answer and says so, and a bad one changes nothing", async () => {
	const { mine, id } = await captured(10);
	const post = (body: unknown, headers = {}, to = id) =>
		shop.http(`POST /api/payments/${to}/refunds`, {
			token: token(shop.env, "admin", admin!.id),
			body,
			headers,
		});
	const bad = [
		{ amount: "4" },
		{ amount: 0 },
		{ amount: 1e12 },
		{ amount: null },
		{ reason: "\0" },
		{ reason: "x".repeat(501) },
		{ all: 1 },
	];
	for (const body of bad)
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
	expect(await told(mine)).toEqual(["payment.captured 10", "payment.refunded 4"]);
	const seen = (sub: string) =>
		shop.http(`GET /api/payments?order_id=${mine.order_id}`, {
			token: token(shop.env, "user", sub),
		});
	const { refunds: _, ...rest } = first.body;
	expect(await seen(mine.user_id)).toMatchObject({ status: 200, body: [rest] });
	expect(await seen(uuid())).toMatchObject({ status: 200, body: [] });
	expect(await shop.http("GET /api/payments", { token: token(shop.env) })).toMatchObject({
		status: 422,
	});
});

test("payments are seen by their owner and by an admin, and refunded by an admin", async () => {
	const { mine, id } = await captured();
	const user = (id: string): Meta["user"] => ({ id, email: "somebody@example.com", role: "user" });
	expect(await list(mine.order_id, user(mine.user_id))).toMatchObject([{ id }]);
	expect(await list(mine.order_id)).toMatchObject([{ id }]);
	expect(await list(mine.order_id, user(uuid()))).toEqual([]);
	expect(await list(uuid())).toEqual([]);
	await expect(list(mine.order_id, null)).rejects.toMatchObject({ code: 401 });
	await expect(refund(id, {}, { user: user(mine.user_id) })).rejects.toMatchObject({ code: 403 });
	await expect(refund(uuid())).rejects.toMatchObject({ code: 404, type: "PAYMENT_NOT_FOUND" });
	for (const amount of [0, -1, 0.001])
		await expect(refund(id, { amount })).rejects.toMatchObject({ code: 422 });
	expect(await list(mine.order_id)).toMatchObject([{ status: "captured" }]);
});
