import { afterAll, beforeAll, beforeEach, expect, test } from "@jest/globals";
import { v7 as uuid } from "uuid";
import { database } from "../../mixins/database.mixin.ts";
import { durableEvents } from "../../mixins/durable-events.mixin.ts";
import { eventually } from "../../test/support/eventually.ts";
import { type MailServer, startMailServer } from "../../test/support/mail-server.ts";
import { userRecord } from "../../test/support/records.ts";
import { publisher, type Shop, startShop, stub } from "../../test/support/shop.ts";
import { users } from "../users/users.contract.ts";
import "./notifications.contract.ts";

const unverifiedUser = uuid();
let issuedTokens: number;
/** ID of a change to an address that already has an account. */
const TAKEN_CHANGE = 2;
let mailServer: MailServer;
let shop: Shop;
let publish: ReturnType<typeof publisher>;
beforeAll(async () => {
	mailServer = await startMailServer();
	shop = await startShop({
		services: ["notifications"],
		env: {
			SMTP_URL: mailServer.url,
			MAIL_FROM: "The Shop <shop@mail.example.com>",
			EVENT_BACKOFF: "0.01,0.02",
		},
		stubs: [
			stub(
				users,
				{
					resolve: async ({ params: { ids } }) =>
						ids.map((id) =>
							userRecord({ id, full_name: "Grace Hopper", is_verified: id !== unverifiedUser }),
						),
					issueVerification: async () => ({ token: `token${++issuedTokens}` }),
					issuePasswordReset: async () => ({ token: `token${++issuedTokens}` }),
					issueEmailChange: async ({ params: { user_id, change_id } }) => ({
						email: `new-${user_id}@example.com`,
						token: change_id === TAKEN_CHANGE ? null : `token${++issuedTokens}`,
					}),
					issueEmailChangeUndo: async ({ params: { user_id } }) => ({
						email: `old-${user_id}@example.com`,
						token: `token${++issuedTokens}`,
					}),
				},
				database,
				durableEvents,
			),
		],
	});
	publish = publisher(shop.broker, "users");
});
afterAll(async () => {
	await shop?.stop();
	await mailServer?.stop();
});
beforeEach(() => {
	issuedTokens = 0;
	mailServer.replyTo = () => undefined;
});

const register = async (user_id = uuid()) => {
	await publish("user.created", user_id, { user_id, email: "old@example.com", full_name: "Grace" });
	return user_id;
};
interface Message {
	id: string;
	status: string;
	attempts: number;
	data: object;
}
const waitForStatus = (user_id: string, status: string) =>
	eventually(async () => {
		const [message] = await shop.databases.query<Message>(
			"notifications",
			"select * from messages where user_id = $1",
			[user_id],
		);
		expect(message?.status).toBe(status);
		return message!;
	});
const mailsTo = (user_id: string) =>
	mailServer.mails.filter(({ headers }) => JSON.stringify(headers.get("to")).includes(user_id));

test("a message to an unverified address contains no name", async () => {
	const id = await register(unverifiedUser);
	await waitForStatus(id, "sent");
	const [mail] = mailsTo(id);
	expect(mail!.to).toMatchObject({ value: [{ address: `${id}@example.com`, name: "" }] });
	expect(`${mail!.text} ${mail!.html}`).not.toContain("Hopper");
	expect(mail!.text).toMatch(/^Hello,\n/);
});

const requestChange = async (change_id: number) => {
	const user_id = uuid();
	await publish("user.email_change_requested", user_id, { user_id, change_id });
	return user_id;
};

test("messages about an address change go to the new and to the former address", async () => {
	let rejections = 2;
	mailServer.replyTo = () => (rejections-- > 0 ? 451 : undefined);
	const id = await requestChange(1);
	const { attempts, data } = await waitForStatus(id, "sent");
	expect(attempts).toBe(3);
	expect(data).toEqual({ change_id: 1 });
	const mails = mailsTo(id);
	expect(new Set(mails.map(({ text }) => text)).size).toBe(1);
	expect(mails[0]!.to).toMatchObject({ value: [{ address: `new-${id}@example.com`, name: "" }] });
	expect(mails[0]!.text).toContain("/email-change?token=token1\n");

	const other = uuid();
	await publish("user.email_change_recorded", other, { user_id: other, change_id: 1 });
	await waitForStatus(other, "sent");
	expect(mailsTo(other)[0]!.to).toMatchObject({ value: [{ address: `old-${other}@example.com` }] });
	expect(mailsTo(other)[0]!.text).toContain("/email-change/undo?token=token2\n");
});

test("only the e-mail reveals whether a new address already has an account", async () => {
	const [free, taken] = [await requestChange(1), await requestChange(TAKEN_CHANGE)];
	const visible = [];
	for (const id of [free, taken]) {
		const { id: message } = await waitForStatus(id, "sent");
		const user = { id, email: "user@example.com", role: "user" };
		const {
			id: _,
			user_id: __,
			event_id: ___,
			sent_at: ____,
			...shown
		} = await shop.call("notifications.get", { id: message }, { meta: { user } });
		visible.push(shown);
	}
	expect(visible[0]).toEqual(visible[1]);
	expect(visible[0]).toMatchObject({ to: "", status: "sent" });
	expect(mailsTo(taken)[0]!.text).toContain("This address already has an account.");
	expect(mailsTo(free)[0]!.text).not.toContain("This address already has an account.");
});

test("drops account messages above the quota before they revoke the link", async () => {
	const id = uuid();
	const requestReset = () => publish("user.password_reset_requested", id, { user_id: id });
	const statuses = async () => {
		const rows = await shop.databases.query<Message>(
			"notifications",
			"select status from messages where user_id = $1",
			[id],
		);
		return rows.map(({ status }) => status).sort();
	};
	const expected = [...Array(3).fill("failed"), ...Array(5).fill("sent")];
	for (let i = 0; i < 8; i++) await requestReset();
	await eventually(async () => expect(await statuses()).toEqual(expected));
	expect(mailsTo(id)).toHaveLength(5);
	expect(issuedTokens).toBe(5);
	// Each template has its own quota, which starts again after an hour.
	await register(id);
	await eventually(async () => expect(await statuses()).toEqual([...expected, "sent"]));
	await shop.databases.query(
		"notifications",
		"update recipient_quotas set started_at = started_at - interval '61 minutes'",
	);
	await requestReset();
	await eventually(() => expect(mailsTo(id)).toHaveLength(7));
});

test("repeated attempts of a message count once against the quota", async () => {
	const id = uuid();
	mailServer.replyTo = ({ messageId }) =>
		mailServer.mails.filter((mail) => mail.messageId === messageId).length < 3 ? 451 : undefined;
	for (let i = 0; i < 4; i++) await publish("user.password_reset_requested", id, { user_id: id });
	await eventually(async () => {
		const rows = await shop.databases.query<Message>(
			"notifications",
			"select status from messages where user_id = $1",
			[id],
		);
		expect(rows.map(({ status }) => status)).toEqual(Array(4).fill("sent"));
	});
	const counts = await shop.databases.query<{ mails: number }>(
		"notifications",
		"select mails from recipient_quotas where recipient_hash = sha256(convert_to($1, 'UTF8'))",
		[`${id}@example.com`],
	);
	expect(counts).toEqual([{ mails: 4 }]);
});

test("order messages above the quota wait until it starts again", async () => {
	const id = uuid();
	await shop.databases.query(
		"notifications",
		`insert into recipient_quotas (recipient_hash, template, mails)
		values (sha256(convert_to($1, 'UTF8')), 'order_shipped', 100)`,
		[`${id}@example.com`],
	);
	const data = JSON.stringify({ order_id: uuid(), total_amount: 1, currency: "EUR" });
	await shop.databases.query(
		"notifications",
		`insert into messages (id, user_id, event_id, channel, template, subject, data, status)
		values ($1, $2, $3, 'email', 'order_shipped', 'On its way', $4, 'queued')`,
		[uuid(), id, uuid(), data],
	);
	await eventually(async () => {
		const [message] = await shop.databases.query<{ wait: number }>(
			"notifications",
			`select extract(epoch from next_at - now())::int as wait from messages
			where user_id = $1 and last_error like '%too many%'`,
			[id],
		);
		expect(message?.wait).toBeGreaterThan(3000);
	});
	expect(mailsTo(id)).toEqual([]);
	await shop.databases.query(
		"notifications",
		"update recipient_quotas set started_at = started_at - interval '61 minutes'",
	);
	await shop.databases.query(
		"notifications",
		"update messages set next_at = now() where user_id = $1",
		[id],
	);
	await waitForStatus(id, "sent");
});
