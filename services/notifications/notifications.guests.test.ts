import { expect, test } from "@jest/globals";
import { v7 as uuid } from "uuid";
import type { EventData } from "../../lib/contracts/contract.ts";
import { createOrderToken } from "../../lib/security/order-token.ts";
import { eventually } from "../../test/support/eventually.ts";
import { admin } from "../../test/support/shop.ts";
import { type Message, mailShop, type OrderSummary } from "./test/mail-shop.ts";

const unverifiedUser = uuid();
const mail = mailShop({ fullName: "Grace Hopper", unverifiedUser });

const address = {
	name: "Grace Hopper",
	line1: "Made Up Street 1",
	postal_code: "10117",
	city: "Berlin",
	country: "DE",
};
/** An order with a coupon, shipping costs and tax, as the orders service returns it. */
const details = {
	total_amount: 39.9,
	currency: "EUR",
	items: [
		{
			...{ product_id: uuid(), name: "Lamp", quantity: 2, unit_price: 20, line_total: 40 },
			...{ discount: 5, tax: 5.59, total: 35 },
		},
	],
	subtotal: 40,
	discount_amount: 5,
	shipping_amount: 4.9,
	tax_amount: 6.37,
	prices_include_tax: true,
	adjustments: [{ promotion_id: uuid(), name: "Summer sale", code: "SUMMER", amount: 5 }],
	taxes: [{ name: "VAT", rate: 0.19, amount: 6.37 }],
	shipping_method: { code: "std", name: "Standard" },
	shipping_address: address,
	billing_address: null,
	coupon_codes: ["SUMMER"],
};
function order(user_id: string | null, fields: Partial<OrderSummary> = {}) {
	const order_id = uuid();
	const email = `${order_id}@guests.example.com`;
	const summary = { id: order_id, user_id, email: user_id === null ? email : null, ...details };
	mail.orders.set(order_id, { ...summary, ...fields });
	return { order_id, email };
}
const eventOf = (order_id: string, user_id: string | null) =>
	({ order_id, user_id, total_amount: 39.9, currency: "EUR" }) as const;
/** Publishes that an order was confirmed, as an older node does for an order with a user. */
const confirm = (
	order_id: string,
	user_id: string | null,
	fields: Partial<EventData<"order.confirmed">> = {},
) =>
	mail.publishForOrder("order.confirmed", order_id, { ...eventOf(order_id, user_id), ...fields });
const sentFor = (order_id: string) =>
	eventually(async () => {
		const [message] = await mail.shop.databases.query<Message & { user_id: string | null }>(
			"notifications",
			"select id, user_id, status, data from messages where data ->> 'order_id' = $1",
			[order_id],
		);
		expect(message?.status).toBe("sent");
		return message!;
	});
const received = (address: string) =>
	mail.mailServer.mails.filter(({ to }) => JSON.stringify(to).includes(address));

test("a guest receives amounts, coupons, the place and a link to the order", async () => {
	const { order_id, email } = order(null);
	await confirm(order_id, null, { email });
	const { data, user_id } = await sentFor(order_id);
	const [{ text, html, to }] = received(email) as [ReturnType<typeof received>[0]];
	expect(to).toMatchObject({ value: [{ address: email, name: "" }] });
	for (const line of [
		"2 × Lamp: €40.00",
		"Subtotal: €40.00",
		"Summer sale: -€5.00",
		"Shipping (Standard): €4.90",
		"Includes VAT (19%): €6.37",
		"Total: €39.90",
		"Coupons: SUMMER",
		"Delivery address:",
		"10117",
		"Germany",
	])
		expect(text).toContain(`${line}\n`);
	const token = createOrderToken(mail.shop.env.JWT_SECRET!, order_id);
	expect(text).toContain(`https://shop.example.com/order?token=${token}&id=${order_id}\n`);
	expect(html).toContain(`token=${token}&amp;id=${order_id}"`);
	// The address of a guest is not verified, so the mail contains no text that the guest entered.
	expect(`${text} ${html}`).not.toMatch(/Grace|Hopper|Made Up|Berlin/);
	// Neither address nor token is stored.
	expect([user_id, data]).toEqual([null, { order_id, total_amount: 39.9, currency: "EUR" }]);
});

test("a user with a verified address receives both addresses and no link", async () => {
	const user_id = uuid();
	const { order_id } = order(user_id, {
		billing_address: { ...address, line1: "Other Street 2", company: "ACME" },
	});
	await confirm(order_id, user_id);
	const { id } = await sentFor(order_id);
	const [{ text, html }] = received(user_id) as [ReturnType<typeof received>[0]];
	expect(text).toContain(
		"Delivery address:\nGrace Hopper\nMade Up Street 1\n10117 Berlin\nGermany\n",
	);
	expect(text).toContain("Billing address:\nGrace Hopper\nACME\nOther Street 2\n");
	expect(text).not.toContain("http");
	const shown = () => mail.shop.call("notifications.get", { id }, { meta: { user: admin } });
	const { text: shownText, html: shownHtml } = await shown();
	expect([shownText.trim(), shownHtml.trim()]).toEqual([text!.trim(), (html as string).trim()]);
	mail.stopOrders();
	expect((await shown()).text).toContain("It is confirmed and paid: €39.90.");
});

test("a message to an unverified address contains no text that a user entered", async () => {
	const { order_id } = order(unverifiedUser);
	await confirm(order_id, unverifiedUser);
	await sentFor(order_id);
	const { text } = received(unverifiedUser)[0]!;
	expect(text).toContain("Total: €39.90\n");
	expect(text).not.toMatch(/Grace|Made Up|Berlin/);
});

test("an event whose order cannot be read is mailed with its own amounts", async () => {
	const [order_id, other] = [uuid(), uuid()];
	const email = `${order_id}@guests.example.com`;
	const amounts = { subtotal: 40, discount_amount: 5, shipping_amount: 4.9, tax_amount: 6.37 };
	await confirm(order_id, null, { email, ...amounts });
	await sentFor(order_id);
	const { text } = received(email)[0]!;
	expect(text).toContain(
		"Subtotal: €40.00\nDiscount: -€5.00\nShipping: €4.90\nTax: €6.37\nTotal: €39.90\n",
	);
	// An older node publishes the total only.
	const user_id = uuid();
	await confirm(other, user_id);
	await sentFor(other);
	const plain = received(user_id)[0]!.text!;
	expect(plain).toContain("It is confirmed and paid: €39.90.");
	expect(plain).not.toMatch(/Subtotal|Shipping|undefined/);
});

test("a mail waits while the orders service is unavailable, for ten minutes at most", async () => {
	mail.stopOrders();
	const user_id = uuid();
	const { order_id } = order(user_id);
	await confirm(order_id, user_id);
	await eventually(() => expect(mail.ordersRead).toBeGreaterThan(2));
	expect(received(user_id)).toEqual([]);
	await mail.shop.databases.query(
		"notifications",
		"update messages set created_at = now() - interval '11 minutes', " +
			"next_at = now() where user_id = $1",
		[user_id],
	);
	await sentFor(order_id);
	const { text } = received(user_id)[0]!;
	expect(text).toContain("It is confirmed and paid: €39.90.");
	expect(text).not.toContain("Delivery address");
});

test("mails an event to a guest once, and a later one to the account", async () => {
	const { order_id, email } = order(null);
	await confirm(order_id, null, { email });
	const { id } = await sentFor(order_id);
	await mail.shop.databases.query(
		"orders",
		`insert into outbox (id, type, subject, data)
		select id, type, subject, data from outbox where subject = $1`,
		[order_id],
	);
	await mail.shop.databases.query("notifications", "delete from inbox");
	const user_id = uuid();
	mail.orders.set(order_id, { ...mail.orders.get(order_id)!, user_id });
	await mail.publishForOrder("order.shipped", order_id, { ...eventOf(order_id, user_id), email });
	await mail.waitForStatus(user_id, "sent");
	expect(received(email)).toHaveLength(1);
	expect(received(user_id)).toHaveLength(1);

	const about = (user_id: string | null) =>
		mail.shop.call("notifications.about", { user_id, order_id });
	for (const reader of [user_id, null])
		expect((await about(reader)).map(({ template }) => template)).toEqual([
			"order_confirmed",
			"order_shipped",
		]);
	expect((await about(uuid())).map(({ template }) => template)).toEqual(["order_confirmed"]);

	// Only administrators see a guest's message, without address and link.
	const shown = await mail.shop.call("notifications.get", { id }, { meta: { user: admin } });
	expect(shown).toMatchObject({ user_id: null, to: "", status: "sent" });
	expect(shown.text).not.toContain("http");
	const user = { id: user_id, email: "user@example.com", role: "user" };
	await expect(
		mail.shop.call("notifications.get", { id }, { meta: { user } }),
	).rejects.toMatchObject({ type: "NOTIFICATION_NOT_FOUND" });
});

test("drops mails about cancelled orders of guests above the quota of an address", async () => {
	const email = `${uuid()}@guests.example.com`;
	const ids = Array.from({ length: 12 }, () => order(null, { email }).order_id);
	const reason = "PAYMENT_DECLINED";
	for (const id of ids)
		await mail.publishForOrder("order.cancelled", id, { ...eventOf(id, null), email, reason });
	await eventually(async () => {
		const rows = await mail.shop.databases.query<Message>(
			"notifications",
			"select status from messages where data ->> 'order_id' = any($1)",
			[ids],
		);
		const statuses = rows.map(({ status }) => status).sort();
		expect(statuses).toEqual([...Array(2).fill("failed"), ...Array(10).fill("sent")]);
	});
	expect(received(email)).toHaveLength(10);
});

/** Queues the message about a refund of late money, whose event contains no address. */
const queueLateRefund = (order_id: string, age = "0 minutes") =>
	mail.shop.databases.query(
		"notifications",
		`insert into messages (id, event_id, channel, template, subject, data, status, created_at)
		values ($1, $2, 'email', 'late_payment_refunded', 'Refunded', $3, 'queued',
			now() - $4::interval)`,
		[uuid(), uuid(), JSON.stringify({ order_id, total_amount: 12, currency: "EUR" }), age],
	);

test("a refund of late money reaches the address in the guest's order", async () => {
	const { order_id, email } = order(null);
	await queueLateRefund(order_id);
	await sentFor(order_id);
	const { text } = received(email)[0]!;
	expect(text).toContain("We have refunded €12.00.");
	expect(text).toContain(`&id=${order_id}`);
});

test("a mail waits for an address that only its order contains, however long", async () => {
	mail.stopOrders();
	const { order_id, email } = order(null);
	await queueLateRefund(order_id, "11 minutes");
	const waiting = () =>
		eventually(async () => {
			const [message] = await mail.shop.databases.query(
				"notifications",
				"select status, attempts, last_error from messages where data ->> 'order_id' = $1",
				[order_id],
			);
			expect(message).toMatchObject({ attempts: 0, last_error: expect.any(String) });
			return message!.status;
		});
	expect(await waiting()).toBe("queued");
	mail.startOrders();
	await mail.shop.databases.query(
		"notifications",
		"update messages set next_at = now() where data ->> 'order_id' = $1",
		[order_id],
	);
	await sentFor(order_id);
	expect(received(email)).toHaveLength(1);
});
