import { expect, test } from "@jest/globals";
import { v7 as uuid } from "uuid";
import { eventually } from "../../test/support/eventually.ts";
import { admin } from "../../test/support/shop.ts";
import { SETTLE } from "./notifications.statements.ts";
import { type Message, mailShop, type OrderSummary } from "./test/mail-shop.ts";

const mail = mailShop({ fullName: "Grace Hopper" });
const resend = (id: string, user: object = admin!) =>
	mail.shop.call("notifications.resend", { id }, { meta: { user } });
const query = <R extends object>(sql: string, values: unknown[]) =>
	mail.shop.databases.query<R & Record<string, unknown>>("notifications", sql, values);

/** Publishes that an order has shipped, and returns the recipient. */
async function ship(user_id: string | null): Promise<string> {
	const order_id = uuid();
	const email = `${order_id}@guests.example.com`;
	mail.orders.set(order_id, {
		...{
			id: order_id,
			user_id,
			email: user_id ? null : email,
			items: [],
			adjustments: [],
			taxes: [],
		},
		...{ subtotal: 5, discount_amount: 0, shipping_amount: 0, tax_amount: 0, total_amount: 5 },
		...{ currency: "EUR", prices_include_tax: true, coupon_codes: [], shipping_method: null },
		...{ shipping_address: null, billing_address: null },
	} as OrderSummary);
	const data = { order_id, user_id, total_amount: 5, currency: "EUR" };
	await mail.publishForOrder("order.shipped", order_id, user_id ? data : { ...data, email });
	return user_id ?? email;
}
const waitForGuest = (address: string, status: string) =>
	eventually(async () => {
		const [message] = await query<Message>(
			"select id, status, sent_at from messages where data ->> 'order_id' = $1",
			[address.slice(0, 36)],
		);
		expect(message?.status).toBe(status);
		return message!;
	});
const mailsWith = (count: number, address: string) =>
	eventually(() => {
		const mails = mail.mailsTo(address);
		expect(mails).toHaveLength(count);
		return mails;
	});

test("sends a message again, as a new one for mail servers and quotas", async () => {
	const user = await ship(uuid());
	const before = await mail.waitForStatus(user, "sent");
	expect(await resend(before.id)).toMatchObject({ id: before.id, status: "queued", attempts: 0 });
	const [first, second] = await mailsWith(2, user);
	const after = await mail.waitForStatus(user, "sent");
	expect(after).toMatchObject({ id: before.id, attempts: 1 });
	expect(Number(after.sent_at)).toBeGreaterThan(Number(before.sent_at));
	expect(second!.messageId).toBe(first!.messageId!.replace("@", ".1@"));
	expect(second!.text).toBe(first!.text);
	expect(await query("select mails from recipient_quotas where mails > 1", [])).toEqual([
		{ mails: 2 },
	]);
});

test("sends a message to a guest again to the address of the order", async () => {
	const address = await ship(null);
	await resend((await waitForGuest(address, "sent")).id);
	const mails = await mailsWith(2, address);
	expect(mails[1]!.text).toContain("/order?token=");
	await waitForGuest(address, "sent");
});

test("waits for the order of a guest while orders is unavailable", async () => {
	const address = await ship(null);
	const { id } = await waitForGuest(address, "sent");
	await query("update messages set created_at = now() - interval '1 day' where id = $1", [id]);
	mail.stopOrders();
	await resend(id);
	await eventually(async () => {
		const [message] = await query<Message>("select last_error from messages where id = $1", [id]);
		expect(message!.last_error).toContain("orders.summaries");
	});
	expect(await waitForGuest(address, "queued")).toMatchObject({ sent_at: expect.any(Date) });
	await query("delete from messages where id = $1", [id]);
});

test("a failed message has all attempts again", async () => {
	mail.mailServer.replyTo = () => 421;
	const user = await ship(uuid());
	const { id } = await mail.waitForStatus(user, "failed");
	await resend(id);
	await mailsWith(6, user);
	expect(await mail.waitForStatus(user, "failed")).toMatchObject({ attempts: 3, sent_at: null });
	mail.mailServer.replyTo = () => undefined;
	await resend(id);
	expect(await mail.waitForStatus(user, "sent")).toMatchObject({ attempts: 1, last_error: null });
});

test("refuses a message with a link, a queued one and an unknown one", async () => {
	const { id } = await mail.waitForStatus(await mail.register(), "sent");
	await expect(resend(id)).rejects.toMatchObject({ type: "NOT_RESENDABLE", code: 409 });

	const user = await ship(uuid());
	const order = await mail.waitForStatus(user, "sent");
	await query(
		"update messages set status = 'queued', next_at = now() + interval '1 hour' where id = $1",
		[order.id],
	);
	await expect(resend(order.id)).rejects.toMatchObject({ type: "NOTIFICATION_QUEUED" });
	await expect(resend(uuid())).rejects.toMatchObject({ type: "NOTIFICATION_NOT_FOUND" });
	expect(mail.mailsTo(user)).toHaveLength(1);
});

test("queues a message once for concurrent requests", async () => {
	const user = await ship(uuid());
	const { id } = await mail.waitForStatus(user, "sent");
	mail.mailServer.replyTo = () => 421;
	const results = await Promise.allSettled(Array.from({ length: 5 }, () => resend(id)));
	expect(results.filter(({ status }) => status === "fulfilled").length).toBeGreaterThan(0);
	mail.mailServer.replyTo = () => undefined;
	await eventually(async () => {
		const [message] = await query<{ resends: number }>(
			"select resends from messages where id = $1 and status <> 'queued'",
			[id],
		);
		expect(message!.resends).toBe(results.filter(({ status }) => status === "fulfilled").length);
	});
});

test("a result from before a message was queued again does not settle it", async () => {
	const user = await ship(uuid());
	const { id } = await mail.waitForStatus(user, "sent");
	await query(
		"update messages set status = 'queued', resends = 1, " +
			"next_at = now() + interval '1 hour' where id = $1",
		[id],
	);
	const late = [[id], ["sent"], [1], [0], [null], [0]];
	await query(SETTLE.text, late);
	await mail.waitForStatus(user, "queued");
	await query(SETTLE.text, [...late.slice(0, 5), [1]]);
	await mail.waitForStatus(user, "sent");
});

test("requires an administrator", async () => {
	const user = await ship(uuid());
	const { id } = await mail.waitForStatus(user, "sent");
	const owner = { id: user, email: "user@example.com", role: "user" };
	await expect(resend(id, owner)).rejects.toMatchObject({ type: "FORBIDDEN" });
});
