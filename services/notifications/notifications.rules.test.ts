import { expect, test } from "@jest/globals";
import type {} from "../users/users.contract.ts";
import {
	assertCanResend,
	buildLink,
	contentOf,
	hasRecipient,
	isPermanentRejection,
	isServerFailure,
	listedUserId,
	messageId,
	postponementDelay,
	recipientName,
	visibleData,
} from "./notifications.rules.ts";

const envelope = {
	specversion: "1.0",
	id: "e",
	source: "/users",
	subject: "s",
	time: "t",
	datacontenttype: "application/json",
	sequence: "1",
} as const;

test("contentOf copies neither the address nor the name from the event", () => {
	const data = { user_id: "u", email: "a@example.com", full_name: "A" };
	expect(contentOf({ ...envelope, type: "user.created", data })).toEqual({
		template: "welcome",
		data: {},
	});
	const order = {
		order_id: "o",
		user_id: "u",
		total_amount: 1,
		currency: "EUR",
		reason: "TIMED_OUT",
	};
	expect(contentOf({ ...envelope, type: "order.cancelled", data: order })).toEqual({
		template: "order_cancelled",
		data: { order_id: "o", total_amount: 1, currency: "EUR", reason: "TIMED_OUT" },
	});
});

test("only the refund of late money causes a message", () => {
	const refund = { order_id: "o", payment_id: "p", amount: 1, currency: "EUR" };
	const event = { ...envelope, type: "payment.refunded" } as const;
	expect(contentOf({ ...event, data: refund })).toBeUndefined();
	expect(contentOf({ ...event, data: { ...refund, late: true, user_id: "u" } })).toEqual({
		template: "late_payment_refunded",
		data: { order_id: "o", total_amount: 1, currency: "EUR" },
	});
});

test("the message to a guest has an address, and that to a user none", () => {
	const event = { ...envelope, type: "order.shipped" } as const;
	const data = { order_id: "o", total_amount: 1, currency: "EUR" };
	const contentFor = (user_id: string | null, email?: string) =>
		contentOf({
			...event,
			data: { ...data, user_id, ...(email ? { email } : {}) },
		});
	const guest = contentFor(null, "guest@example.com")!;
	expect(guest).toEqual({ template: "order_shipped", data: { ...data, to: "guest@example.com" } });
	expect(hasRecipient(guest, null)).toBe(true);
	const user = contentFor("u", "guest@example.com")!;
	expect(user).toEqual({ template: "order_shipped", data });
	expect(hasRecipient(user, "u")).toBe(true);
	expect(hasRecipient(contentFor(null)!, null)).toBe(false);
	// The sender finds the address in the order.
	expect(hasRecipient({ template: "late_payment_refunded", data }, undefined)).toBe(true);
});

test("users list their own messages and admins those of any user", () => {
	const [user, admin] = [
		{ id: "u", role: "user" },
		{ id: "b", role: "admin" },
	] as const;
	expect(listedUserId(user)).toBe("u");
	expect(listedUserId(user, "u")).toBe("u");
	expect(() => listedUserId(user, "v")).toThrow("Insufficient permissions");
	expect(listedUserId(admin)).toBeUndefined();
	expect(listedUserId(admin, "u")).toBe("u");
});

test("messageId contains the event ID and the host of any form of the sender", () => {
	for (const from of [
		"Shop <shop@mail.example.com>",
		"shop@mail.example.com",
		'"A @ B" <shop@mail.example.com> ',
	])
		expect(messageId({ event_id: "e", template: "welcome", resends: 0 }, from)).toBe(
			"<e.welcome@mail.example.com>",
		);
});

test("messageId differs for a message that is sent again", () => {
	const message = { event_id: "e", template: "order_shipped", resends: 2 } as const;
	expect(messageId(message, "shop@example.com")).toBe("<e.order_shipped.2@example.com>");
});

test("only a permanent error about the message itself is a permanent rejection", () => {
	expect(isPermanentRejection({ code: "EENVELOPE", responseCode: 550 })).toBe(true);
	expect(isPermanentRejection({ code: "EMESSAGE", responseCode: 554 })).toBe(true);
	// An address that does not fit an envelope.
	expect(isPermanentRejection({ code: "EENVELOPE" })).toBe(true);
	expect(isPermanentRejection({ code: "EENVELOPE", responseCode: 450 })).toBe(false);
	expect(isPermanentRejection({ code: "EAUTH", responseCode: 535 })).toBe(false);
	expect(isPermanentRejection({ code: "ESOCKET" })).toBe(false);
	expect(isPermanentRejection(new Error("Unknown error"))).toBe(false);
});

test("a failure of the mail server is no failure of the message", () => {
	expect(isServerFailure({ code: "ESOCKET", originalCode: "ECONNREFUSED" })).toBe(true);
	expect(isServerFailure({ code: "ETIMEDOUT" })).toBe(true);
	expect(isServerFailure({ code: "EPROTOCOL", responseCode: 421 })).toBe(true);
	expect(isServerFailure({ code: "EAUTH", responseCode: 535 })).toBe(true);
	expect(isServerFailure({ code: "EENVELOPE", command: "MAIL FROM", responseCode: 550 })).toBe(
		true,
	);
	expect(isServerFailure({ code: "EENVELOPE", command: "MAIL FROM", responseCode: 552 })).toBe(
		false,
	);
	expect(isServerFailure({ code: "EENVELOPE", command: "RCPT TO", responseCode: 450 })).toBe(false);
	expect(isServerFailure({ code: "EMESSAGE", responseCode: 421 })).toBe(false);
	// The server may have received the message.
	expect(isServerFailure({ code: "EABORT" })).toBe(false);
	expect(isServerFailure(new TypeError("Not composed"))).toBe(false);
	expect(isServerFailure(null)).toBe(false);
});

test("a link encodes its token and is visible only if it was not mailed", () => {
	const link = buildLink("https://shop.example.com/", "verify-email", "a+b/c=&d");
	expect(new URL(link).searchParams.get("token")).toBe("a+b/c=&d");
	expect(link).toMatch(/^https:\/\/shop\.example\.com\/verify-email\?/);
	const [user, admin] = [{ id: "u", role: "user" } as const, { id: "b", role: "admin" } as const];
	const visible = (
		template: "welcome" | "password_reset" | "email_change" | "email_change_notice",
		status: string,
		caller: typeof user | typeof admin,
	) => JSON.stringify(visibleData({ link }, { template, status }, caller));
	for (const caller of [user, admin]) {
		expect(visible("welcome", "kept", caller)).toBe(JSON.stringify({ link }));
		for (const status of ["queued", "sent", "failed"])
			expect(visible("welcome", status, caller)).toBe("{}");
	}
	for (const template of ["password_reset", "email_change", "email_change_notice"] as const) {
		expect(visible(template, "kept", user)).toBe("{}");
		expect(visible(template, "kept", admin)).toBe(JSON.stringify({ link }));
		expect(visible(template, "sent", admin)).toBe("{}");
	}
	expect(
		visibleData(
			{ taken: true, to: "a@example.com" },
			{ template: "email_change", status: "queued" },
			user,
		),
	).toEqual({});
});

test("a user update causes a message only for a new, unverified address", () => {
	const contentOfUpdate = (updated_fields: string[], is_verified?: true) =>
		contentOf({
			...envelope,
			type: "user.updated",
			data: { user_id: "u", updated_fields, ...(is_verified ? { is_verified } : {}) },
		});
	expect(contentOfUpdate(["full_name", "role"])).toBeUndefined();
	expect(contentOfUpdate(["email", "is_verified"])).toEqual({ template: "verify_email", data: {} });
	expect(contentOfUpdate(["email", "is_verified"], true)).toBeUndefined();
	const data = { user_id: "u", change_id: 7 };
	expect(contentOf({ ...envelope, type: "user.email_change_requested", data })).toEqual({
		template: "email_change",
		data: { change_id: 7 },
	});
	expect(contentOf({ ...envelope, type: "user.email_change_recorded", data })).toEqual({
		template: "email_change_notice",
		data: { change_id: 7 },
	});
});

test("recipientName returns a name only for the verified address of the account", () => {
	const user = { full_name: "Zoe", is_verified: true };
	expect(recipientName({ template: "welcome", data: {} }, user)).toBe("Zoe");
	expect(
		recipientName({ template: "welcome", data: {} }, { ...user, is_verified: false }),
	).toBeUndefined();
	expect(
		recipientName({ template: "email_change_notice", data: { change_id: 1 } }, user),
	).toBeUndefined();
	expect(recipientName({ template: "welcome", data: {} }, null)).toBeUndefined();
});

test("postponementDelay grows with the age of the message up to 15 minutes", () => {
	const delays = [0, 60, 600, 86_400].map((age) => postponementDelay(age, 1, 0));
	expect(delays).toEqual([1, 15, 150, 900]);
	expect(postponementDelay(60, 1, 1)).toBe(30);
});

const finalStatuses = ["sent", "kept", "failed"] as const;

test.each(finalStatuses)("a %s message about an order can be sent again", (status) => {
	expect(() => assertCanResend({ template: "order_confirmed", status })).not.toThrow();
});

test.each([
	["welcome", "valid once"],
	["verify_email", "valid once"],
	["password_reset", "valid once"],
	["email_change", "former address"],
	["email_change_notice", "former address"],
] as const)("a %s message is not sent again, because of %s", (template, reason) => {
	for (const status of finalStatuses)
		expect(() => assertCanResend({ template, status })).toThrow(reason);
});

test("a missing or queued message is not sent again", () => {
	expect(() => assertCanResend(undefined)).toThrow("not found");
	expect(() => assertCanResend({ template: "order_confirmed", status: "queued" })).toThrow(
		"still queued",
	);
});
