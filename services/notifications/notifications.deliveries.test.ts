import { expect, test } from "@jest/globals";
import { v7 as uuid } from "uuid";
import { eventually } from "../../test/support/eventually.ts";
import { admin } from "../../test/support/shop.ts";
import { mailShop, type OrderSummary } from "./test/mail-shop.ts";

const mail = mailShop({ fullName: "Grace Hopper" });
const asAdmin = { meta: { user: admin! } };
const asUser = (id: string) => ({
	meta: { user: { id, email: `${id}@example.com`, role: "user" as const } },
});
const newest = async (options: object) =>
	(await mail.shop.call("notifications.list", { limit: 1 }, options)).rows[0]!;

test("shows recipient and last error of a message to administrators only", async () => {
	mail.mailServer.replyTo = () => 550;
	const id = await mail.register();
	const { last_error } = await mail.waitForStatus(id, "failed");
	expect(last_error).toContain("550");
	const delivery = { recipient: `${id}@example.com`, error: last_error };
	const { id: message } = await newest(asAdmin);
	expect(await newest(asAdmin)).toMatchObject({ user_id: id, status: "failed", ...delivery });
	const get = (options: object) =>
		mail.shop.call("notifications.get", { id: message }, options as typeof asAdmin);
	expect(await get(asAdmin)).toMatchObject(delivery);
	for (const shown of [await newest(asUser(id)), await get(asUser(id))]) {
		expect(shown).toMatchObject({ id: message, status: "failed" });
		expect(Object.keys(shown)).not.toEqual(expect.arrayContaining(["recipient"]));
		expect(JSON.stringify(shown)).not.toContain("550");
	}
});

test("shows the address of a guest, and not that of a change of address", async () => {
	const order_id = uuid();
	const email = `${order_id}@guests.example.com`;
	mail.orders.set(order_id, {
		...{ id: order_id, user_id: null, email, items: [], adjustments: [], taxes: [] },
		...{ subtotal: 5, discount_amount: 0, shipping_amount: 0, tax_amount: 0, total_amount: 5 },
		...{ currency: "EUR", prices_include_tax: true, coupon_codes: [], shipping_method: null },
		...{ shipping_address: null, billing_address: null },
	} as OrderSummary);
	const data = { order_id, user_id: null, email, total_amount: 5, currency: "EUR" };
	await mail.publishForOrder("order.shipped", order_id, data);
	await eventually(async () =>
		expect(await newest(asAdmin)).toMatchObject({
			user_id: null,
			status: "sent",
			recipient: email,
		}),
	);
	mail.stopOrders();
	expect(await newest(asAdmin)).toMatchObject({ user_id: null, recipient: null });

	const user_id = uuid();
	await mail.publish("user.email_change_requested", user_id, { user_id, change_id: 1 });
	await mail.waitForStatus(user_id, "sent");
	expect(await newest(asAdmin)).toMatchObject({ user_id, recipient: null, error: null });
});

test("mails a new link to a user who requested one", async () => {
	const user_id = uuid();
	await mail.publish("user.verification_requested", user_id, { user_id });
	await mail.waitForStatus(user_id, "sent");
	const [letter] = mail.mailsTo(user_id);
	expect(letter!.text).toContain("You requested a new link");
	expect(letter!.text).toMatch(/verify-email\?token=token\d/);
});
