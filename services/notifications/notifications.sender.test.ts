import { createServer } from "node:net";
import { afterEach, expect, test } from "@jest/globals";
import { v7 as uuid } from "uuid";
import type { Poller } from "../../lib/async/poller.ts";
import { Database, databaseUrl } from "../../lib/persistence/database.ts";
import { eventually } from "../../test/support/eventually.ts";
import { startSender } from "./notifications.sender.ts";
import { mailShop } from "./test/mail-shop.ts";

const missingUser = uuid();
const mail = mailShop({ fullName: 'Grâce "G"\r\nHopper', missingUser });

const messagesTo = (user_id: string) =>
	mail.shop.databases.query(
		"notifications",
		"select status, attempts from messages where user_id = $1",
		[user_id],
	);

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
		const { last_error } = await mail.waitForStatus(id, "queued");
		expect(last_error).toContain("ECONNREFUSED");
	});
	let connections = 0;
	const failing = createServer((socket) => {
		connections++;
		socket.destroy();
	});
	failing.listen(mail.mailServer.port, "127.0.0.1");
	try {
		// More connections than a rejected message has attempts.
		await eventually(async () => {
			const [message] = await messagesTo(id);
			expect(connections > 3 || message!.status === "failed").toBe(true);
		});
		expect(await messagesTo(id)).toMatchObject([{ status: "queued", attempts: 0 }]);
	} finally {
		await new Promise((resolve) => failing.close(resolve));
		await mail.restartMailServer();
	}
	expect(await mail.waitForStatus(id, "sent")).toMatchObject({ attempts: 1 });
	expect(mail.mailsTo(id)).toHaveLength(1);
});

test("keeps messages queued while the mail server rejects the sender", async () => {
	let rejections = 0;
	mail.mailServer.replyToSender = () => {
		rejections++;
		return 550;
	};
	const id = await mail.register();
	// More rejections than a rejected message has attempts.
	await eventually(async () => {
		const [message] = await messagesTo(id);
		expect(rejections > 3 || message!.status === "failed").toBe(true);
	});
	expect(await messagesTo(id)).toMatchObject([{ status: "queued", attempts: 0 }]);
	mail.mailServer.replyToSender = () => undefined;
	expect(await mail.waitForStatus(id, "sent")).toMatchObject({ attempts: 1 });
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

/** The sender of the service; no test after those that stop it can use it. */
const ownSender = () =>
	(mail.shop.broker.getLocalService("notifications") as unknown as { sender: Poller }).sender;

test("a stopping sender finishes the delivery in flight", async () => {
	let finish: (() => void) | undefined;
	mail.mailServer.replyTo = () =>
		new Promise((resolve) => {
			finish = () => resolve(undefined);
		});
	const id = await mail.register();
	await eventually(() => expect(mail.mailsTo(id)).toHaveLength(1));
	const stopping = ownSender().stop();
	finish!();
	await stopping;
	await mail.waitForStatus(id, "sent");
});

test("a delivery that a stopping sender aborts is no attempt", async () => {
	await ownSender().stop();
	const id = await mail.register();
	await mail.waitForStatus(id, "queued");
	await mail.shop.databases.query(
		"notifications",
		"update messages set attempts = 2 where user_id = $1",
		[id],
	);
	mail.mailServer.replyTo = () => new Promise(() => {});
	const sender = startAnotherSender();
	sender.wake();
	await eventually(() => expect(mail.mailsTo(id)).toHaveLength(1));
	await sender.stop();
	expect(await messagesTo(id)).toMatchObject([{ status: "queued", attempts: 2 }]);
	mail.mailServer.replyTo = () => undefined;
	startAnotherSender().wake();
	expect(await mail.waitForStatus(id, "sent")).toMatchObject({ attempts: 3 });
});
