import { expect, test } from "@jest/globals";
import type {} from "../users/users.contract.ts";
import {
	contentOf,
	isRefusal,
	listedUser,
	mailedLink,
	messageId,
	nameIn,
	preparationWait,
	shownData,
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

test("a message holds neither the address nor the name that the event tells of", () => {
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

test("users list their own messages, admins those of anybody", () => {
	const [user, boss] = [
		{ id: "u", role: "user" },
		{ id: "b", role: "admin" },
	] as const;
	expect(listedUser(user)).toBe("u");
	expect(listedUser(user, "u")).toBe("u");
	expect(() => listedUser(user, "v")).toThrow("Insufficient permissions");
	expect(listedUser(boss)).toBeUndefined();
	expect(listedUser(boss, "u")).toBe("u");
});

test("a message's id names the event and the sender's host, however the sender is written", () => {
	for (const from of [
		"Shop <shop@mail.example.com>",
		"shop@mail.example.com",
		'"A @ B" <shop@mail.example.com> ',
	])
		expect(messageId("e", "welcome", from)).toBe("<e.welcome@mail.example.com>");
});

test("only what a mail server says about the message itself and for good is a refusal", () => {
	expect(isRefusal({ code: "EENVELOPE", responseCode: 550 })).toBe(true);
	expect(isRefusal({ code: "EMESSAGE", responseCode: 554 })).toBe(true);
	expect(isRefusal({ code: "EENVELOPE" })).toBe(true); // an address that cannot be written into an envelope
	expect(isRefusal({ code: "EENVELOPE", responseCode: 450 })).toBe(false);
	expect(isRefusal({ code: "EAUTH", responseCode: 535 })).toBe(false);
	expect(isRefusal({ code: "ESOCKET" })).toBe(false);
	expect(isRefusal(new Error("something else"))).toBe(false);
});

test("a verification link keeps its token whole, and is shown only where it was not mailed", () => {
	const link = mailedLink("https://shop.example.com/", "verify-email", "a+b/c=&d");
	expect(new URL(link).searchParams.get("token")).toBe("a+b/c=&d");
	expect(link).toMatch(/^https:\/\/shop\.example\.com\/verify-email\?/);
	const [user, boss] = [{ id: "u", role: "user" } as const, { id: "b", role: "admin" } as const];
	const shown = (
		template: "welcome" | "password_reset" | "email_change" | "email_change_notice",
		status: string,
		caller: typeof user | typeof boss,
	) => JSON.stringify(shownData({ link }, { template, status }, caller));
	for (const caller of [user, boss]) {
		expect(shown("welcome", "kept", caller)).toBe(JSON.stringify({ link }));
		for (const status of ["queued", "sent", "failed"])
			expect(shown("welcome", status, caller)).toBe("{}");
	}
	for (const template of ["password_reset", "email_change", "email_change_notice"] as const) {
		expect(shown(template, "kept", user)).toBe("{}");
		expect(shown(template, "kept", boss)).toBe(JSON.stringify({ link }));
		expect(shown(template, "sent", boss)).toBe("{}");
	}
	expect(
		shownData(
			{ taken: true, to: "a@example.com" },
			{ template: "email_change", status: "queued" },
			user,
		),
	).toEqual({});
});

test("of a user's changes only an address that is not verified is written about", () => {
	const changed = (updated_fields: string[], is_verified?: true) =>
		contentOf({
			...envelope,
			type: "user.updated",
			data: { user_id: "u", updated_fields, ...(is_verified ? { is_verified } : {}) },
		});
	expect(changed(["full_name", "role"])).toBeUndefined();
	expect(changed(["email", "is_verified"])).toEqual({ template: "verify_email", data: {} });
	expect(changed(["email", "is_verified"], true)).toBeUndefined();
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

test("a recipient has a name in messages to a verified address of the account only", () => {
	const person = { full_name: "Zoe", is_verified: true };
	expect(nameIn({ template: "welcome", data: {} }, person)).toBe("Zoe");
	expect(
		nameIn({ template: "welcome", data: {} }, { ...person, is_verified: false }),
	).toBeUndefined();
	expect(
		nameIn({ template: "email_change_notice", data: { change_id: 1 } }, person),
	).toBeUndefined();
	expect(nameIn({ template: "welcome", data: {} }, null)).toBeUndefined();
});

test("a message that cannot be prepared waits longer the older it is, up to a quarter of an hour", () => {
	const waits = [0, 60, 600, 86_400].map((age) => preparationWait(age, 1, 0));
	expect(waits).toEqual([1, 15, 150, 900]);
	expect(preparationWait(60, 1, 1)).toBe(30);
});
