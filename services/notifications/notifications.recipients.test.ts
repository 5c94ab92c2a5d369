import { afterAll, beforeAll, beforeEach, expect, test } from "@jest/globals";
import { v7 as uuid } from "uuid";
import { database } from "../../mixins/database.mixin.ts";
import { durableEvents } from "../../mixins/durable-events.mixin.ts";
import { eventually } from "../../test/support/eventually.ts";
import { type MailServer, startMailServer } from "../../test/support/mail-server.ts";
import { publisher, type Shop, startShop, stub } from "../../test/support/shop.ts";
import { users } from "../users/users.contract.ts";
import "./notifications.contract.ts";

const time = "2026-01-01T00:00:00.000Z";
const stranger = uuid();
let issued: number;
/** The number of a change to an address that has an account. */
const TAKEN = 2;
let mailServer: MailServer;
let shop: Shop;
let tell: ReturnType<typeof publisher>;
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
						ids.map((id) => ({
							id,
							email: `${id}@example.com`,
							full_name: "Grace Hopper",
							role: "user",
							is_active: true,
							is_verified: id !== stranger,
							created_at: time,
							updated_at: time,
						})),
					issueVerification: async () => ({ token: `token${++issued}` }),
					issuePasswordReset: async () => ({ token: `token${++issued}` }),
					issueEmailChange: async ({ params: { user_id, change_id } }) => ({
						email: `new-${user_id}@example.com`,
						token: change_id === TAKEN ? null : `token${++issued}`,
					}),
					issueEmailChangeUndo: async ({ params: { user_id } }) => ({
						email: `old-${user_id}@example.com`,
						token: `token${++issued}`,
					}),
				},
				database,
				durableEvents,
			),
		],
	});
	tell = publisher(shop.broker, "users");
});
afterAll(async () => {
	await shop?.stop();
	await mailServer?.stop();
});
beforeEach(() => {
	issued = 0;
	mailServer.answer = () => undefined;
});

const register = async (user_id = uuid()) => {
	await tell("user.created", user_id, { user_id, email: "old@example.com", full_name: "Grace" });
	return user_id;
};
interface Message {
	id: string;
	status: string;
	attempts: number;
	data: object;
}
const becomes = (user_id: string, status: string) =>
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

test("a mail to an address that nobody has proved to read has no name in it", async () => {
	const id = await register(stranger);
	await becomes(id, "sent");
	const [mail] = mailsTo(id);
	expect(mail!.to).toMatchObject({ value: [{ address: `${id}@example.com`, name: "" }] });
	expect(`${mail!.text} ${mail!.html}`).not.toContain("Hopper");
	expect(mail!.text).toMatch(/^Hello,\n/);
});

const requestChange = async (change_id: number) => {
	const user_id = uuid();
	await tell("user.email_change_requested", user_id, { user_id, change_id });
	return user_id;
};

test("the mails about a change of address go to the new and the former one, with the same link each time", async () => {
	let refusals = 2;
	mailServer.answer = () => (refusals-- > 0 ? 451 : undefined);
	const id = await requestChange(1);
	const { attempts, data } = await becomes(id, "sent");
	expect(attempts).toBe(3);
	expect(data).toEqual({ change_id: 1 });
	const mails = mailsTo(id);
	expect(new Set(mails.map(({ text }) => text)).size).toBe(1);
	expect(mails[0]!.to).toMatchObject({ value: [{ address: `new-${id}@example.com`, name: "" }] });
	expect(mails[0]!.text).toContain("/email-change?token=token1\n");

	const other = uuid();
	await tell("user.email_change_recorded", other, { user_id: other, change_id: 1 });
	await becomes(other, "sent");
	expect(mailsTo(other)[0]!.to).toMatchObject({ value: [{ address: `old-${other}@example.com` }] });
	expect(mailsTo(other)[0]!.text).toContain("/email-change/undo?token=token2\n");
});

test("whether a new address has an account shows in its mail, and nowhere else", async () => {
	const [free, taken] = [await requestChange(1), await requestChange(TAKEN)];
	const seen = [];
	for (const id of [free, taken]) {
		const { id: message } = await becomes(id, "sent");
		const user = { id, email: "user@example.com", role: "user" };
		const {
			id: _,
			user_id: __,
			event_id: ___,
			sent_at: ____,
			...shown
		} = await shop.call("notifications.get", { id: message }, { meta: { user } });
		seen.push(shown);
	}
	expect(seen[0]).toEqual(seen[1]);
	expect(seen[0]).toMatchObject({ to: "", status: "sent" });
	expect(mailsTo(taken)[0]!.text).toContain("It has an account already.");
	expect(mailsTo(free)[0]!.text).not.toContain("It has an account already.");
});

test("an address gets five account mails of a kind an hour, and the others are dropped before they revoke its link", async () => {
	const id = uuid();
	const forgets = () => tell("user.password_reset_requested", id, { user_id: id });
	const statuses = async () => {
		const rows = await shop.databases.query<Message>(
			"notifications",
			"select status from messages where user_id = $1",
			[id],
		);
		return rows.map(({ status }) => status).sort();
	};
	const used = [...Array(3).fill("failed"), ...Array(5).fill("sent")];
	for (let i = 0; i < 8; i++) await forgets();
	await eventually(async () => expect(await statuses()).toEqual(used));
	expect(mailsTo(id)).toHaveLength(5);
	expect(issued).toBe(5);
	// Mails of another kind have a quota of their own, and an hour later there are five more.
	await register(id);
	await eventually(async () => expect(await statuses()).toEqual([...used, "sent"]));
	await shop.databases.query(
		"notifications",
		"update recipient_quotas set started_at = started_at - interval '61 minutes'",
	);
	await forgets();
	await eventually(() => expect(mailsTo(id)).toHaveLength(7));
});

test("a repetition of a mail does not count again", async () => {
	const id = uuid();
	mailServer.answer = ({ messageId }) =>
		mailServer.mails.filter((mail) => mail.messageId === messageId).length < 3 ? 451 : undefined;
	for (let i = 0; i < 4; i++) await tell("user.password_reset_requested", id, { user_id: id });
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

test("mails about orders beyond the quota wait, and none is lost", async () => {
	const id = uuid();
	await shop.databases.query(
		"notifications",
		"insert into recipient_quotas (recipient_hash, template, mails) values (sha256(convert_to($1, 'UTF8')), 'order_shipped', 100)",
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
			"select extract(epoch from next_at - now())::int as wait from messages where user_id = $1 and last_error like '%too many%'",
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
	await becomes(id, "sent");
});
