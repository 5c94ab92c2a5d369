import { expect, test } from "@jest/globals";
import { userRecord } from "../../test/support/records.ts";
import {
	acceptChanges,
	acceptEmail,
	acceptName,
	acceptPassword,
	assertCanAccess,
	assertCanChange,
	changesOf,
	emailKeys,
	fitsBcrypt,
	passwordForms,
	removesAdministrator,
} from "./users.rules.ts";

const zoe = userRecord({ email: "zoe@example.com", full_name: "Zoë" });
const other = "019a0000-0000-7000-8000-00000000000c";
const admin = { ...zoe, id: other, role: "admin" } as const;
const forbidden = expect.objectContaining({ type: "FORBIDDEN", code: 403 });

test("the limit of a password is in bytes, not characters", () => {
	expect(fitsBcrypt("a".repeat(72))).toBe(true);
	expect(fitsBcrypt("a".repeat(73))).toBe(false);
	expect(fitsBcrypt("🐎".repeat(18))).toBe(true);
	expect(fitsBcrypt("🐎".repeat(19))).toBe(false);
	expect(() => acceptPassword("é".repeat(37))).toThrow(
		expect.objectContaining({
			type: "VALIDATION_ERROR",
			data: { errors: [expect.objectContaining({ field: "password" })] },
		}),
	);
});

test("a password is normalized to NFC before it is measured and hashed", () => {
	const decomposed = "é".repeat(30).normalize("NFD");
	expect(acceptPassword(decomposed)).toBe("é".repeat(30));
	expect(() => acceptPassword("é".repeat(5).normalize("NFD"))).toThrow(
		expect.objectContaining({ type: "VALIDATION_ERROR" }),
	);
	expect(passwordForms(decomposed)).toEqual(["é".repeat(30), decomposed]);
	expect(passwordForms("correct horse")).toEqual(["correct horse"]);
});

test("an address is stored in canonical form and also found in its older stored form", () => {
	expect(acceptEmail(" Zoe@Bücher.example")).toBe("zoe@xn--bcher-kva.example");
	expect(() => acceptEmail("<zoe@example.com>")).toThrow(
		expect.objectContaining({
			type: "VALIDATION_ERROR",
			data: { errors: [expect.objectContaining({ field: "email" })] },
		}),
	);
	expect(emailKeys("Zoe@Bücher.example")).toEqual({
		canonical: "zoe@xn--bcher-kva.example",
		stored: "zoe@bücher.example",
	});
	expect(emailKeys("<Zoe@example.com>")).toEqual({
		canonical: "<zoe@example.com>",
		stored: "<zoe@example.com>",
	});
	expect(acceptChanges({ email: "<zoe@example.com>" }, { email: "<zoe@example.com>" })).toEqual({
		email: "<zoe@example.com>",
	});
});

test.each([
	"Zoë",
	"Zoë".normalize("NFD"),
	"J.R.R. Tolkien",
	"O’Neil-Smith, Jr.",
	"Smith & Sons (3M)",
	"山田太郎",
	"Анна·Мария",
	"میر\u200cزا",
	"Ph.D. Ó Briain",
])("%s is a name", (name) => {
	expect(acceptName(name)).toBe(name.normalize("NFC"));
});
test.each([
	"http://phish.example click here",
	"phish.example",
	"www.phish.example",
	"a@example.com",
	"<b>Zoe</b>",
	"Zoe\nBcc: x",
	"Zoe\u202e",
	"[Zoe](x)",
	"123",
	"...",
	"🎁 Zoe",
])("rejects %j as a name", (name) => {
	expect(() => acceptName(name)).toThrow(
		expect.objectContaining({
			type: "VALIDATION_ERROR",
			data: { errors: [expect.objectContaining({ field: "full_name" })] },
		}),
	);
});

test("users read and change themselves, administrators read and change everyone", () => {
	expect(() => assertCanAccess(zoe, zoe.id)).not.toThrow();
	expect(() => assertCanAccess(zoe, other)).toThrow(forbidden);
	expect(() => assertCanAccess(admin, zoe.id)).not.toThrow();
	expect(() => assertCanChange(zoe, zoe.id, { full_name: "Zoe" })).not.toThrow();
	expect(() => assertCanChange(zoe, other, { full_name: "Zoe" })).toThrow(forbidden);
	expect(() => assertCanChange(admin, zoe.id, { role: "admin", is_active: false })).not.toThrow();
});

test("only administrators set role and is_active, even to the current value", () => {
	expect(() => assertCanChange(zoe, zoe.id, { role: "admin" })).toThrow(forbidden);
	expect(() => assertCanChange(zoe, zoe.id, { role: zoe.role })).toThrow(forbidden);
	expect(() => assertCanChange(zoe, zoe.id, { is_active: true })).toThrow(forbidden);
});

test("only fields that differ are changes", () => {
	expect(changesOf(zoe, { email: zoe.email, full_name: "Zoe", is_active: true })).toEqual({
		full_name: "Zoe",
	});
	expect(changesOf(zoe, { email: zoe.email })).toEqual({});
});

test("a new address is unverified unless the change says otherwise", () => {
	expect(changesOf(zoe, { email: "new@example.com" })).toEqual({
		email: "new@example.com",
		is_verified: false,
	});
	expect(changesOf({ ...zoe, is_verified: false }, { email: "new@example.com" })).toEqual({
		email: "new@example.com",
	});
	expect(changesOf(zoe, { email: "new@example.com", is_verified: true })).toEqual({
		email: "new@example.com",
	});
});

test("removing the role or deactivating removes an active administrator", () => {
	expect(removesAdministrator(admin, { role: "user" })).toBe(true);
	expect(removesAdministrator(admin, { is_active: false })).toBe(true);
	expect(removesAdministrator(admin, { full_name: "Zoe" })).toBe(false);
	expect(removesAdministrator({ ...admin, is_active: false }, { role: "user" })).toBe(false);
	expect(removesAdministrator(zoe, { is_active: false })).toBe(false);
});
