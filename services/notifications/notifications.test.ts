import { afterAll, beforeAll, beforeEach, expect, test } from "@jest/globals";
import { Errors } from "moleculer";
import { v7 as uuid } from "uuid";
import { contractError } from "../../lib/contracts/contract.ts";
import { database } from "../../mixins/database.mixin.ts";
import { durableEvents } from "../../mixins/durable-events.mixin.ts";
import { eventually } from "../../test/support/eventually.ts";
import { userRecord } from "../../test/support/records.ts";
import { asAdmin, publisher, type Shop, startShop, stub } from "../../test/support/shop.ts";
import { orders } from "../orders/orders.contract.ts";
import { payments } from "../payments/payments.contract.ts";
import { users } from "../users/users.contract.ts";
import "./notifications.contract.ts";

const userWithId = (id: string) => userRecord({ id, full_name: "Grace <b>Hopper</b>" });

/** Returns the next token of the stubbed users service. */
let issueToken: () => string;
let shop: Shop;
let publishForOrder: ReturnType<typeof publisher>;
let publishForPayment: ReturnType<typeof publisher>;
let publishForUser: ReturnType<typeof publisher>;
beforeAll(async () => {
	shop = await startShop({
		services: ["notifications"],
		env: { PUBLIC_URL: "https://shop.example.com/", EVENT_BACKOFF: "0.05" },
		stubs: [
			stub(
				users,
				{
					resolve: async ({ params: { ids } }) => ids.map(userWithId),
					issueVerification: async () => ({ token: issueToken() }),
				},
				database,
				durableEvents,
			),
			stub(orders, {}, database, durableEvents),
			stub(payments, {}, database, durableEvents),
		],
	});
	publishForOrder = publisher(shop.broker, "orders");
	publishForUser = publisher(shop.broker, "users");
	publishForPayment = publisher(shop.broker, "payments");
});
afterAll(() => shop?.stop());
beforeEach(() => {
	issueToken = uuid;
});

const as = (id: string) => ({ meta: { user: { id, email: "user@example.com", role: "user" } } });
const order = (user_id: string) => ({
	order_id: uuid(),
	user_id,
	total_amount: 39.98,
	currency: "EUR",
});
const confirm = (data: ReturnType<typeof order>) =>
	publishForOrder("order.confirmed", data.order_id, data);
const register = (user_id: string) =>
	publishForUser("user.created", user_id, {
		user_id,
		email: `${user_id}@example.com`,
		full_name: "Grace",
	});
const messagesOf = async (id: string) => (await shop.call("notifications.list", {}, as(id))).rows;
const waitForMessages = (id: string, count: number) =>
	eventually(async () => {
		const found = await messagesOf(id);
		expect(found).toHaveLength(count);
		return found;
	});

test("each order event except its creation causes one message, newest first", async () => {
	const data = order(uuid());
	await publishForOrder("order.created", data.order_id, data);
	await confirm(data);
	await publishForOrder("order.shipped", data.order_id, data);
	await publishForOrder("order.delivered", data.order_id, data);
	const found = await waitForMessages(data.user_id, 3);
	expect(found.map(({ template }) => template)).toEqual([
		"order_delivered",
		"order_shipped",
		"order_confirmed",
	]);
	expect(found[2]).toMatchObject({
		channel: "email",
		status: "kept",
		attempts: 0,
		sent_at: null,
		subject: `Order ${data.order_id} is confirmed`,
	});
	const { text, to } = await shop.call("notifications.get", { id: found[2]!.id }, as(data.user_id));
	expect(text).toContain("€39.98");
	expect(to).toBe(`${data.user_id}@example.com`);
});

test("the message about a cancelled order states the reason", async () => {
	const data = order(uuid());
	await publishForOrder("order.cancelled", data.order_id, { ...data, reason: "PAYMENT_DECLINED" });
	const [message] = await waitForMessages(data.user_id, 1);
	const { text } = await shop.call("notifications.get", { id: message!.id }, as(data.user_id));
	expect(text).toContain("was cancelled: the payment was declined.");
});

test("a refund of late money causes a message, another refund does not", async () => {
	const { order_id, user_id } = order(uuid());
	const refund = { order_id, payment_id: uuid(), amount: 39.98, currency: "EUR" };
	await publishForPayment("payment.refunded", order_id, refund);
	await publishForPayment("payment.refunded", order_id, { ...refund, late: true, user_id });
	const [message] = await waitForMessages(user_id, 1);
	expect(message).toMatchObject({ template: "late_payment_refunded" });
	const { text } = await shop.call("notifications.get", { id: message!.id }, as(user_id));
	expect(text).toContain("arrived after the order was cancelled");
	expect(text).toContain("€39.98");
});

test("a redelivered event causes no second message, even without its inbox row", async () => {
	const data = order(uuid());
	await confirm(data);
	const [message] = await waitForMessages(data.user_id, 1);
	const redeliver = () =>
		shop.databases.query(
			"orders",
			`insert into outbox (id, type, subject, data)
			select id, type, subject, data from outbox where id = $1 limit 1`,
			[message!.event_id],
		);
	await redeliver();
	await publishForOrder("order.shipped", data.order_id, data);
	await waitForMessages(data.user_id, 2);
	await shop.databases.query("notifications", "delete from inbox where event_id = $1", [
		message!.event_id,
	]);
	await redeliver();
	await publishForOrder("order.delivered", data.order_id, data);
	expect((await waitForMessages(data.user_id, 3)).map(({ template }) => template)).toEqual([
		"order_delivered",
		"order_shipped",
		"order_confirmed",
	]);
});

test("keeps a welcome message with a stable link without a mail server", async () => {
	const id = uuid();
	let issued = 0;
	issueToken = () => `token ${++issued}`;
	await register(id);
	const [message] = await waitForMessages(id, 1);
	await eventually(async () => expect((await messagesOf(id))[0]!.status).toBe("kept"));
	const { text, html } = await shop.call("notifications.get", { id: message!.id }, as(id));
	expect(text).toContain("https://shop.example.com/verify-email?token=token%201\n");
	expect(html).toContain("Hello Grace &lt;b&gt;Hopper&lt;/b&gt;,");
	expect((await shop.call("notifications.get", { id: message!.id }, asAdmin)).text).toBe(text);
	expect(issued).toBe(1);
});

test("a welcome message waits while the users service is unavailable", async () => {
	const id = uuid();
	let requests = 0;
	issueToken = () => {
		requests++;
		throw new Errors.ServiceNotAvailableError({ action: "users.issueVerification" });
	};
	await register(id);
	await eventually(() => expect(requests).toBeGreaterThan(2));
	expect((await messagesOf(id))[0]).toMatchObject({ status: "queued", attempts: 0 });
	issueToken = uuid;
	await eventually(async () => expect((await messagesOf(id))[0]!.status).toBe("kept"));
});

test("a welcome message to a deleted user fails at once", async () => {
	const id = uuid();
	issueToken = () => {
		throw contractError(users, "USER_NOT_FOUND");
	};
	await register(id);
	await eventually(async () =>
		expect((await messagesOf(id))[0]).toMatchObject({ status: "failed", attempts: 0 }),
	);
});

test("users see only their own messages and admins those of all users", async () => {
	const [own, foreign] = [order(uuid()), order(uuid())];
	await confirm(own);
	await confirm(foreign);
	const [[message]] = [
		await waitForMessages(own.user_id, 1),
		await waitForMessages(foreign.user_id, 1),
	];
	const { id } = message!;
	const list = (user_id: string, options: object) =>
		shop.call("notifications.list", { user_id }, options);

	expect(await list(own.user_id, as(own.user_id))).toEqual({ rows: [message], total: 1 });
	await expect(list(own.user_id, as(foreign.user_id))).rejects.toMatchObject({
		type: "FORBIDDEN",
		code: 403,
	});
	await expect(shop.call("notifications.get", { id }, as(foreign.user_id))).rejects.toMatchObject({
		type: "NOTIFICATION_NOT_FOUND",
		code: 404,
	});
	await expect(shop.call("notifications.get", { id: uuid() }, asAdmin)).rejects.toMatchObject({
		type: "NOTIFICATION_NOT_FOUND",
	});
	await expect(shop.call("notifications.list", {})).rejects.toMatchObject({
		type: "UNAUTHENTICATED",
	});

	const recipient = `${own.user_id}@example.com`;
	const complete = { ...message, recipient, error: null };
	expect(await list(own.user_id, asAdmin)).toEqual({ rows: [complete], total: 1 });
	const all = await shop.call("notifications.list", { limit: 2 }, asAdmin);
	expect(all.rows.map(({ user_id }) => user_id)).toEqual([foreign.user_id, own.user_id]);
	const next = await shop.call("notifications.list", { skip: 1, limit: 1 }, asAdmin);
	expect(next).toEqual({ rows: [complete], total: all.total });
});
