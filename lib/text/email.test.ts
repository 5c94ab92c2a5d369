import { expect, test } from "@jest/globals";
import fc from "fast-check";
import { canonicalEmail } from "./email.ts";

test.each([
	["zoe@example.com", "zoe@example.com"],
	[" Zoe.Smith+shop@Example.COM\n", "zoe.smith+shop@example.com"],
	["o'neil@example.com", "o'neil@example.com"],
	["zoë@example.com".normalize("NFD"), "zoë@example.com"],
	["zoe@Bücher.example", "zoe@xn--bcher-kva.example"],
	["zoe@Bücher.example".normalize("NFD"), "zoe@xn--bcher-kva.example"],
	["zoe@xn--bcher-kva.example", "zoe@xn--bcher-kva.example"],
	["zoe@ｅxample。com", "zoe@example.com"],
	["a@b.co", "a@b.co"],
])("canonicalEmail converts %j to %j", (text, canonical) => {
	expect(canonicalEmail(text)).toBe(canonical);
});

test.each([
	"",
	"zoe",
	"@example.com",
	"zoe@",
	"zoe@example",
	"<zoe@example.com>",
	"zoe@example.com>",
	"Zoe <zoe@example.com>",
	"a@b@example.com",
	"zoe@example..com",
	"zoe@example.com.",
	"zoe@.example.com",
	".zoe@example.com",
	"zoe.@example.com",
	"zo..e@example.com",
	"zo e@example.com",
	"zo\u200be@example.com",
	"zoe@exam\u200bple.com",
	"zoe@exam\u00adple.com",
	"zo\ufe0fe@example.com",
	"zo\u202ee@example.com",
	"zo\0e@example.com",
	"zoe@example.com\r\nBcc: x@example.com",
	'"zoe"@example.com',
	"zoe@[127.0.0.1]",
	"zoe@127.0.0.1",
	"zoe@127.1",
	"zoe@0x7f.1",
	"zoe@exa%6dple.com",
	"zoe@-example.com",
	"zoe@example.com,b@example.com",
	"\ud83dzoe@example.com",
	`${"x".repeat(65)}@example.com`,
	`zoe@${"x".repeat(64)}.com`,
	`zoe@${"x.".repeat(130)}com`,
])("canonicalEmail rejects %j", (text) => {
	expect(canonicalEmail(text)).toBeUndefined();
});

test("canonicalEmail rejects long adversarial text by its length", () => {
	expect(canonicalEmail("@.".repeat(50_000))).toBeUndefined();
});

test("canonicalEmail returns the same form for an address and its upper-case form", () => {
	const part = fc.string({ unit: fc.constantFrom(..."aé0x_+-."), minLength: 1, maxLength: 40 });
	const label = fc.string({ unit: fc.constantFrom(..."abn0x-"), minLength: 1, maxLength: 40 });
	const top = fc.oneof(fc.constantFrom("com", "0x7f", "1", "xn--a", "xn--bcher-kva"), label);
	const address = fc
		.tuple(part, fc.oneof(label, fc.constant("xn--a")), top)
		.map(([local, domain, last]) => `${local}@${domain}.${last}`);
	fc.assert(
		fc.property(address, (text) => {
			expect(canonicalEmail(text)).toBe(canonicalEmail(text.toUpperCase()));
		}),
		{ numRuns: 2000 },
	);
});

test("canonicalEmail is idempotent and returns lower-case NFC without spaces", () => {
	const part = fc.string({ unit: "grapheme", minLength: 1, maxLength: 12 });
	fc.assert(
		fc.property(
			part,
			part,
			fc.constantFrom("com", "example", "Bücher", "рф"),
			(local, label, top) => {
				const canonical = canonicalEmail(`${local}@${label}.${top}`);
				if (canonical === undefined) return;
				expect(canonicalEmail(canonical)).toBe(canonical);
				expect(canonicalEmail(` ${canonical.normalize("NFD")}`)).toBe(canonical);
				expect(canonical).toBe(canonical.toLowerCase().normalize("NFC"));
				expect(canonical).not.toMatch(/[\s<>]|@.*@|\.\.|\.$/);
			},
		),
		{ numRuns: 2000 },
	);
});
