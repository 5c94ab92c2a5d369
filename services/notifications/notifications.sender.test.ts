import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "@jest/globals";
import { v7 as uuid } from "uuid";
import type { Poller } from "../../lib/async/poller.ts";
import { Database, databaseUrl } from "../../lib/persistence/database.ts";
import { database } from "../../mixins/database.mixin.ts";
import { durableEvents } from "../../mixins/durable-events.mixin.ts";
import { eventually } from "../../test/support/eventually.ts";
import { type MailServer, startMailServer } from "../../test/support/mail-server.ts";
import { publisher, type Shop, startShop, stub } from "../../test/support/shop.ts";
import { users } from "../users/users.contract.ts";
import "./notifications.contract.ts";
import { startSender } from "./notifications.sender.ts";

const time = "2026-01-01T00:00:00.000Z";
const gone = uuid();
let issued: number;
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
						ids.map((id) =>
							id === gone
								? null
								: {
										id,
										email: `${id}@example.com`,
										full_name: 'Grâce "G"\r\nHopper',
										role: "user",
										is_active: true,
										is_verified: true,
										created_at: time,
										updated_at: time,
									},
						),
					issueVerification: async () => ({ token: `token${++issued}` }),
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
	event_id: string;
	status: string;
	attempts: number;
	last_error: string | null;
	sent_at: string | null;
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

test("a mail goes to the address of now, in text and HTML, under an id made from its event", async () => {
	const id = await register();
	const { event_id, sent_at, attempts } = await becomes(id, "sent");
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

test("where a mail was sent its link is shown nowhere else", async () => {
	const id = await register();
	const message = await becomes(id, "sent");
	const user = { id, email: "user@example.com", role: "user" };
	const { text } = await shop.call("notifications.get", { id: message.id }, { meta: { user } });
	expect(text).not.toContain("token1");
	expect(message.data).toEqual({});
});

test("a mail that the server would not take now is sent again, with the same link and id", async () => {
	let refusals = 2;
	mailServer.answer = () => (refusals-- > 0 ? 451 : undefined);
	const id = await register();
	const { attempts, last_error } = await becomes(id, "sent");
	expect({ attempts, last_error }).toEqual({ attempts: 3, last_error: null });
	const mails = mailsTo(id);
	expect(mails).toHaveLength(3);
	expect(
		new Set(mails.map(({ messageId, text, date }) => `${messageId} ${text} ${date}`)).size,
	).toBe(1);
	expect(issued).toBe(1);
});

test("a mail that is refused for good fails at once and holds nobody back", async () => {
	const refused = uuid();
	mailServer.answer = ({ headers }) =>
		JSON.stringify(headers.get("to")).includes(refused) ? 550 : undefined;
	await register(refused);
	const fine = await register();
	const { attempts, last_error } = await becomes(refused, "failed");
	expect(attempts).toBe(1);
	expect(last_error).toContain("550");
	await becomes(fine, "sent");
	expect(mailsTo(refused)).toHaveLength(1);
});

test("a mail fails when its tries are used up", async () => {
	mailServer.answer = () => 421;
	const { attempts } = await becomes(await register(), "failed");
	expect(attempts).toBe(3);
});

test("a message to somebody who does not exist any more fails and is tried nowhere", async () => {
	const { attempts } = await becomes(await register(gone), "failed");
	expect(attempts).toBe(0);
});

test("mail waits while the server is down and is sent when it is up again", async () => {
	await mailServer.stop();
	const id = await register();
	await eventually(async () => {
		const { attempts } = await becomes(id, "queued");
		expect(attempts).toBeGreaterThan(0);
	});
	mailServer = await startMailServer(mailServer.port);
	await becomes(id, "sent");
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
/** Another node. */
function anotherSender(): Poller {
	const db = new Database({
		url: databaseUrl(shop.databases.pattern, "notifications"),
		poolSize: 2,
	});
	const sender = startSender({
		db,
		call: shop.call,
		env: shop.env,
		logger: shop.broker.logger,
		closing: () => false,
	});
	senders.push({ sender, db });
	return sender;
}

test("nodes that share a queue send each mail once", async () => {
	const others = [anotherSender(), anotherSender()];
	const everybody = await Promise.all(Array.from({ length: 60 }, () => register()));
	for (const other of others) other.wake();
	for (const id of everybody) await becomes(id, "sent");
	for (const id of everybody) expect(mailsTo(id)).toHaveLength(1);
});

test("a sender that is stopped finishes the mail under way", async () => {
	let finish: (() => void) | undefined;
	mailServer.answer = () =>
		new Promise((resolve) => {
			finish = () => resolve(undefined);
		});
	const service = shop.broker.getLocalService("notifications") as unknown as { sender: Poller };
	const id = await register();
	await eventually(() => expect(mailsTo(id)).toHaveLength(1));
	const stopping = service.sender.stop();
	finish!();
	await stopping;
	await becomes(id, "sent");
});
