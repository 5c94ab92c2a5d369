import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "@jest/globals";
import { v7 as uuid } from "uuid";
import type { Poller } from "../../lib/async/poller.ts";
import { Database, databaseUrl } from "../../lib/persistence/database.ts";
import { database } from "../../mixins/database.mixin.ts";
import { durableEvents } from "../../mixins/durable-events.mixin.ts";
import { eventually } from "../../test/support/eventually.ts";
import { type MailServer, startMailServer } from "../../test/support/mail-server.ts";
import { userRecord } from "../../test/support/records.ts";
import { publisher, type Shop, startShop, stub } from "../../test/support/shop.ts";
import { users } from "../users/users.contract.ts";
import "./notifications.contract.ts";
import { startSender } from "./notifications.sender.ts";

const missingUser = uuid();
let issuedTokens: number;
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
							id === missingUser ? null : userRecord({ id, full_name: 'Grâce "G"\r\nHopper' }),
						),
					issueVerification: async () => ({ token: `token${++issuedTokens}` }),
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
	event_id: string;
	status: string;
	attempts: number;
	last_error: string | null;
	sent_at: string | null;
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

test("sends text and HTML to the current address, with a stable Message-ID", async () => {
	const id = await register();
	const { event_id, sent_at, attempts } = await waitForStatus(id, "sent");
	expect(sent_at).not.toBeNull();
	expect(attempts).toBe(1);
	const [mail, ...more] = mailsTo(id);
	expect(more).toEqual([]);
	expect(mail).toMatchObject({
		messageId: `<${event_id}.welcome@mail.example.com>`,
		subject: "Welcome to the shop",
		from: { text: '"The Shop" <shop@mail.example.com>' },
		to: { value: [{ address: `${id}@example.com` }] },
		date: expect.any(Date),
	});
	expect(mail!.headers.get("auto-submitted")).toBe("auto-generated");
	expect(mail!.text).toContain("verify-email?token=token1");
	expect(mail!.html).toContain("Grâce &quot;G&quot; Hopper");
});

test("does not show the link of a sent message in the API", async () => {
	const id = await register();
	const message = await waitForStatus(id, "sent");
	const user = { id, email: "user@example.com", role: "user" };
	const { text } = await shop.call("notifications.get", { id: message.id }, { meta: { user } });
	expect(text).not.toContain("token1");
	expect(message.data).toEqual({});
});

test("retries a temporarily rejected message with the same link and Message-ID", async () => {
	let rejections = 2;
	mailServer.replyTo = () => (rejections-- > 0 ? 451 : undefined);
	const id = await register();
	const { attempts, last_error } = await waitForStatus(id, "sent");
	expect({ attempts, last_error }).toEqual({ attempts: 3, last_error: null });
	const mails = mailsTo(id);
	expect(mails).toHaveLength(3);
	expect(
		new Set(mails.map(({ messageId, text, date }) => `${messageId} ${text} ${date}`)).size,
	).toBe(1);
	expect(issuedTokens).toBe(1);
});

test("fails a permanently rejected message at once without delaying others", async () => {
	const rejectedUser = uuid();
	mailServer.replyTo = ({ headers }) =>
		JSON.stringify(headers.get("to")).includes(rejectedUser) ? 550 : undefined;
	await register(rejectedUser);
	const otherUser = await register();
	const { attempts, last_error } = await waitForStatus(rejectedUser, "failed");
	expect(attempts).toBe(1);
	expect(last_error).toContain("550");
	await waitForStatus(otherUser, "sent");
	expect(mailsTo(rejectedUser)).toHaveLength(1);
});

test("fails a message after its last attempt", async () => {
	mailServer.replyTo = () => 421;
	const { attempts } = await waitForStatus(await register(), "failed");
	expect(attempts).toBe(3);
});

test("fails a message to a deleted user without an attempt", async () => {
	const { attempts } = await waitForStatus(await register(missingUser), "failed");
	expect(attempts).toBe(0);
});

test("keeps messages queued while the mail server is down and sends them afterwards", async () => {
	await mailServer.stop();
	const id = await register();
	await eventually(async () => {
		const { attempts } = await waitForStatus(id, "queued");
		expect(attempts).toBeGreaterThan(0);
	});
	mailServer = await startMailServer(mailServer.port);
	await waitForStatus(id, "sent");
	expect(mailsTo(id)).toHaveLength(1);
});

const senders: { sender: Poller; db: Database }[] = [];
afterEach(async () => {
	await Promise.all(
		senders.splice(0).map(async ({ sender, db }) => {
			await sender.stop();
			await db.close();
		}),
	);
});
/** Starts a sender as on another node. */
function startAnotherSender(): Poller {
	const db = new Database({
		url: databaseUrl(shop.databases.pattern, "notifications"),
		poolSize: 2,
	});
	const sender = startSender({
		db,
		call: shop.call,
		env: shop.env,
		logger: shop.broker.logger,
		isStopping: () => false,
	});
	senders.push({ sender, db });
	return sender;
}

test("several nodes send each message once", async () => {
	const others = [startAnotherSender(), startAnotherSender()];
	const userIds = await Promise.all(Array.from({ length: 60 }, () => register()));
	for (const other of others) other.wake();
	for (const id of userIds) await waitForStatus(id, "sent");
	for (const id of userIds) expect(mailsTo(id)).toHaveLength(1);
});

test("a stopping sender finishes the delivery in flight", async () => {
	let finish: (() => void) | undefined;
	mailServer.replyTo = () =>
		new Promise((resolve) => {
			finish = () => resolve(undefined);
		});
	const service = shop.broker.getLocalService("notifications") as unknown as { sender: Poller };
	const id = await register();
	await eventually(() => expect(mailsTo(id)).toHaveLength(1));
	const stopping = service.sender.stop();
	finish!();
	await stopping;
	await waitForStatus(id, "sent");
});
