import { expect, test } from "@jest/globals";
import { v7 as uuid } from "uuid";
import { eventually } from "../../test/support/eventually.ts";
import { type Message, mailShop, TAKEN_CHANGE } from "./test/mail-shop.ts";

const unverifiedUser = uuid();
const mail = mailShop({ fullName: "Grace Hopper", unverifiedUser });

test("a message to an unverified address contains no name", async () => {
	const id = await mail.register(unverifiedUser);
	await mail.waitForStatus(id, "sent");
	const [received] = mail.mailsTo(id);
	expect(received!.to).toMatchObject({ value: [{ address: `${id}@example.com`, name: "" }] });
	expect(`${received!.text} ${received!.html}`).not.toContain("Hopper");
	expect(received!.text).toMatch(/^Hello,\n/);
});

const requestChange = async (change_id: number) => {
	const user_id = uuid();
	await mail.publish("user.email_change_requested", user_id, { user_id, change_id });
	return user_id;
};

test("messages about an address change go to the new and to the former address", async () => {
	let rejections = 2;
	mail.mailServer.replyTo = () => (rejections-- > 0 ? 451 : undefined);
	const id = await requestChange(1);
	const { attempts, data } = await mail.waitForStatus(id, "sent");
	expect(attempts).toBe(3);
	expect(data).toEqual({ change_id: 1 });
	const mails = mail.mailsTo(id);
	expect(new Set(mails.map(({ text }) => text)).size).toBe(1);
	expect(mails[0]!.to).toMatchObject({ value: [{ address: `new-${id}@example.com`, name: "" }] });
	expect(mails[0]!.text).toContain("/email-change?token=token1\n");

	const other = uuid();
	await mail.publish("user.email_change_recorded", other, { user_id: other, change_id: 1 });
	await mail.waitForStatus(other, "sent");
	expect(mail.mailsTo(other)[0]!.to).toMatchObject({
		value: [{ address: `old-${other}@example.com` }],
	});
	expect(mail.mailsTo(other)[0]!.text).toContain("/email-change/undo?token=token2\n");
});

test("only the e-mail reveals whether a new address already has an account", async () => {
	const [free, taken] = [await requestChange(1), await requestChange(TAKEN_CHANGE)];
	const visible = [];
	for (const id of [free, taken]) {
		const { id: message } = await mail.waitForStatus(id, "sent");
		const user = { id, email: "user@example.com", role: "user" };
		const {
			id: _,
			user_id: __,
			event_id: ___,
			sent_at: ____,
			...shown
		} = await mail.shop.call("notifications.get", { id: message }, { meta: { user } });
		visible.push(shown);
	}
	expect(visible[0]).toEqual(visible[1]);
	expect(visible[0]).toMatchObject({ to: "", status: "sent" });
	expect(mail.mailsTo(taken)[0]!.text).toContain("This address already has an account.");
	expect(mail.mailsTo(free)[0]!.text).not.toContain("This address already has an account.");
});

test("drops account messages above the quota before they revoke the link", async () => {
	const id = uuid();
	const requestReset = () => mail.publish("user.password_reset_requested", id, { user_id: id });
	const statuses = async () => {
		const rows = await mail.shop.databases.query<Message>(
			"notifications",
			"select status from messages where user_id = $1",
			[id],
		);
		return rows.map(({ status }) => status).sort();
	};
	const expected = [...Array(3).fill("failed"), ...Array(5).fill("sent")];
	for (let i = 0; i < 8; i++) await requestReset();
	await eventually(async () => expect(await statuses()).toEqual(expected));
	expect(mail.mailsTo(id)).toHaveLength(5);
	expect(mail.issuedTokens).toBe(5);
	// Each template has its own quota, which starts again after an hour.
	await mail.register(id);
	await eventually(async () => expect(await statuses()).toEqual([...expected, "sent"]));
	await mail.shop.databases.query(
		"notifications",
		"update recipient_quotas set started_at = started_at - interval '61 minutes'",
	);
	await requestReset();
	await eventually(() => expect(mail.mailsTo(id)).toHaveLength(7));
});

test("repeated attempts of a message count once against the quota", async () => {
	const id = uuid();
	mail.mailServer.replyTo = ({ messageId }) =>
		mail.mailServer.mails.filter((mail) => mail.messageId === messageId).length < 3
			? 451
			: undefined;
	for (let i = 0; i < 4; i++)
		await mail.publish("user.password_reset_requested", id, { user_id: id });
	await eventually(async () => {
		const rows = await mail.shop.databases.query<Message>(
			"notifications",
			"select status from messages where user_id = $1",
			[id],
		);
		expect(rows.map(({ status }) => status)).toEqual(Array(4).fill("sent"));
	});
	const counts = await mail.shop.databases.query<{ mails: number }>(
		"notifications",
		"select mails from recipient_quotas where recipient_hash = sha256(convert_to($1, 'UTF8'))",
		[`${id}@example.com`],
	);
	expect(counts).toEqual([{ mails: 4 }]);
});

test("order messages above the quota wait until it starts again", async () => {
	const id = uuid();
	await mail.shop.databases.query(
		"notifications",
		`insert into recipient_quotas (recipient_hash, template, mails)
		values (sha256(convert_to($1, 'UTF8')), 'order_shipped', 100)`,
		[`${id}@example.com`],
	);
	const data = JSON.stringify({ order_id: uuid(), total_amount: 1, currency: "EUR" });
	await mail.shop.databases.query(
		"notifications",
		`insert into messages (id, user_id, event_id, channel, template, subject, data, status)
		values ($1, $2, $3, 'email', 'order_shipped', 'On its way', $4, 'queued')`,
		[uuid(), id, uuid(), data],
	);
	await eventually(async () => {
		const [message] = await mail.shop.databases.query<{ wait: number }>(
			"notifications",
			`select extract(epoch from next_at - now())::int as wait from messages
			where user_id = $1 and last_error like '%too many%'`,
			[id],
		);
		expect(message?.wait).toBeGreaterThan(3000);
	});
	expect(mail.mailsTo(id)).toEqual([]);
	await mail.shop.databases.query(
		"notifications",
		"update recipient_quotas set started_at = started_at - interval '61 minutes'",
	);
	await mail.shop.databases.query(
		"notifications",
		"update messages set next_at = now() where user_id = $1",
		[id],
	);
	await mail.waitForStatus(id, "sent");
});
