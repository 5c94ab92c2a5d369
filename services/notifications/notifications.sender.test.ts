import { afterEach, expect, test } from "@jest/globals";
import { v7 as uuid } from "uuid";
import type { Poller } from "../../lib/async/poller.ts";
import { Database, databaseUrl } from "../../lib/persistence/database.ts";
import { eventually } from "../../test/support/eventually.ts";
import { startSender } from "./notifications.sender.ts";
import { mailShop } from "./test/mail-shop.ts";

const missingUser = uuid();
const mail = mailShop({ fullName: 'Grâce "G"\r\nHopper', missingUser });

test("sends text and HTML to the current address, with a stable Message-ID", async () => {
	const id = await mail.register();
	const { event_id, sent_at, attempts } = await mail.waitForStatus(id, "sent");
	expect(sent_at).not.toBeNull();
	expect(attempts).toBe(1);
	const [received, ...more] = mail.mailsTo(id);
	expect(more).toEqual([]);
	expect(received).toMatchObject({
		messageId: `<${event_id}.welcome@mail.example.com>`,
		subject: "Welcome to the shop",
		from: { text: '"The Shop" <shop@mail.example.com>' },
		to: { value: [{ address: `${id}@example.com` }] },
		date: expect.any(Date),
	});
	expect(received!.headers.get("auto-submitted")).toBe("auto-generated");
	expect(received!.text).toContain("verify-email?token=token1");
	expect(received!.html).toContain("Grâce &quot;G&quot; Hopper");
});

test("does not show the link of a sent message in the API", async () => {
	const id = await mail.register();
	const message = await mail.waitForStatus(id, "sent");
	const user = { id, email: "user@example.com", role: "user" };
	const { text } = await mail.shop.call(
		"notifications.get",
		{ id: message.id },
		{ meta: { user } },
	);
	expect(text).not.toContain("token1");
	expect(message.data).toEqual({});
});

test("retries a temporarily rejected message with the same link and Message-ID", async () => {
	let rejections = 2;
	mail.mailServer.replyTo = () => (rejections-- > 0 ? 451 : undefined);
	const id = await mail.register();
	const { attempts, last_error } = await mail.waitForStatus(id, "sent");
	expect({ attempts, last_error }).toEqual({ attempts: 3, last_error: null });
	const mails = mail.mailsTo(id);
	expect(mails).toHaveLength(3);
	expect(
		new Set(mails.map(({ messageId, text, date }) => `${messageId} ${text} ${date}`)).size,
	).toBe(1);
	expect(mail.issuedTokens).toBe(1);
});

test("fails a permanently rejected message at once without delaying others", async () => {
	const rejectedUser = uuid();
	mail.mailServer.replyTo = ({ headers }) =>
		JSON.stringify(headers.get("to")).includes(rejectedUser) ? 550 : undefined;
	await mail.register(rejectedUser);
	const otherUser = await mail.register();
	const { attempts, last_error } = await mail.waitForStatus(rejectedUser, "failed");
	expect(attempts).toBe(1);
	expect(last_error).toContain("550");
	await mail.waitForStatus(otherUser, "sent");
	expect(mail.mailsTo(rejectedUser)).toHaveLength(1);
});

test("fails a message after its last attempt", async () => {
	mail.mailServer.replyTo = () => 421;
	const { attempts } = await mail.waitForStatus(await mail.register(), "failed");
	expect(attempts).toBe(3);
});

test("fails a message to a deleted user without an attempt", async () => {
	const { attempts } = await mail.waitForStatus(await mail.register(missingUser), "failed");
	expect(attempts).toBe(0);
});

test("keeps messages queued while the mail server is down and sends them afterwards", async () => {
	await mail.mailServer.stop();
	const id = await mail.register();
	await eventually(async () => {
		const { attempts } = await mail.waitForStatus(id, "queued");
		expect(attempts).toBeGreaterThan(0);
	});
	await mail.restartMailServer();
	await mail.waitForStatus(id, "sent");
	expect(mail.mailsTo(id)).toHaveLength(1);
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
		url: databaseUrl(mail.shop.databases.pattern, "notifications"),
		poolSize: 2,
	});
	const sender = startSender({
		db,
		call: mail.shop.call,
		env: mail.shop.env,
		logger: mail.shop.broker.logger,
		isStopping: () => false,
	});
	senders.push({ sender, db });
	return sender;
}

test("several nodes send each message once", async () => {
	const others = [startAnotherSender(), startAnotherSender()];
	const userIds = await Promise.all(Array.from({ length: 60 }, () => mail.register()));
	for (const other of others) other.wake();
	for (const id of userIds) await mail.waitForStatus(id, "sent");
	for (const id of userIds) expect(mail.mailsTo(id)).toHaveLength(1);
});

test("a stopping sender finishes the delivery in flight", async () => {
	let finish: (() => void) | undefined;
	mail.mailServer.replyTo = () =>
		new Promise((resolve) => {
			finish = () => resolve(undefined);
		});
	const service = mail.shop.broker.getLocalService("notifications") as unknown as {
		sender: Poller;
	};
	const id = await mail.register();
	await eventually(() => expect(mail.mailsTo(id)).toHaveLength(1));
	const stopping = service.sender.stop();
	finish!();
	await stopping;
	await mail.waitForStatus(id, "sent");
});
