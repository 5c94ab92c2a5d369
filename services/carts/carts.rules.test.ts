import { describe, expect, test } from "@jest/globals";
import { etagOf } from "../../lib/contracts/etag.ts";
import { digest } from "../../lib/security/secret-token.ts";
import * as rules from "./carts.rules.ts";

const empty: rules.CartContents = {
	currency: null,
	email: null,
	shipping_address: null,
	billing_address: null,
	shipping_method: null,
	coupon_codes: [],
	lines: [],
	quote: null,
};
const line = (product_id: string, quantity = 1): rules.CartLine => ({
	product_id,
	quantity,
	seen: 10,
});
const cart = (fields: Partial<rules.StoredCart> = {}): rules.StoredCart => ({
	...empty,
	id: "cart",
	version: 7,
	status: "open",
	user_id: null,
	is_currency_chosen: false,
	token_digest: digest("secret"),
	order_id: null,
	request: null,
	cancellation_reason: null,
	merged_into: null,
	expires_at: "2026-01-01T00:00:00.000Z",
	updated_at: "2026-01-01T00:00:00.000Z",
	...fields,
});
const user = (id: string, role: "user" | "admin" = "user") => ({
	id,
	email: `${id}@example.com`,
	role,
});

describe("access", () => {
	const ofUser = cart({ user_id: "ann", token_digest: null });
	test.each([
		["a guest with the token", cart(), { token: "secret" }, true],
		["a guest with another token", cart(), { token: "other" }, false],
		["a guest with an empty token", cart(), { token: "" }, false],
		["a guest without a token", cart(), {}, false],
		["a user without the token", cart(), { user: user("ann") }, false],
		["a user with the token", cart(), { user: user("ann"), token: "secret" }, true],
		["the owner", ofUser, { user: user("ann") }, true],
		["another user", ofUser, { user: user("bob") }, false],
		["a guest, to the cart of a user", ofUser, { token: "secret" }, false],
		["an administrator", ofUser, { user: user("root", "admin") }, true],
	])("of %s", (_, found, credentials, allowed) => {
		const check = () => rules.assertAccess(found, credentials);
		if (allowed) expect(check).not.toThrow();
		else expect(check).toThrow("Cart not found");
	});

	test("to a cart that does not exist is denied", () => {
		expect(() => rules.assertAccess(undefined, { user: user("root", "admin") })).toThrow(
			"Cart not found",
		);
	});

	test("of an administrator to the cart of a user is not that of its owner", () => {
		expect(rules.isOwner(ofUser, { user: user("root", "admin") })).toBe(false);
	});
});

test("If-Match compares the version in a strong tag", () => {
	const tag = rules.entityTag(7, etagOf({ any: "body" }));
	expect(tag).toMatch(/^"7\.[\w-]{27}"$/);
	for (const accepted of [undefined, "*", tag, `"6.x", ${tag}`, '"7.otherbody"'])
		expect(() => rules.assertIfMatch(cart(), accepted)).not.toThrow();
	for (const rejected of [`W/${tag}`, '"8.x"', '"77.x"', '"7"', '"x"'])
		expect(() => rules.assertIfMatch(cart(), rejected)).toThrow("has changed");
});

describe("the quantity of a product", () => {
	const lines = [line("a"), line("b", 2)];

	test("adds a line at the end, changes one in its place, and removes one", () => {
		const details = { seen: 5 };
		expect(rules.withQuantity(lines, "c", 3, details)).toEqual([
			...lines,
			{ product_id: "c", quantity: 3, seen: 5 },
		]);
		expect(rules.withQuantity(lines, "a", 3, details)).toEqual([line("a", 3), line("b", 2)]);
		expect(rules.withQuantity(lines, "a", 0, details)).toEqual([line("b", 2)]);
		expect(rules.withQuantity(lines, "c", 0, details)).toEqual(lines);
	});

	test("adds no line beyond the limit", () => {
		const full = Array.from({ length: 100 }, (_, i) => line(`p${i}`));
		expect(() => rules.withQuantity(full, "new", 1, { seen: 1 })).toThrow("100 products");
		expect(rules.withQuantity(full, "p5", 9, { seen: 1 })).toHaveLength(100);
	});
});

describe("merging", () => {
	test("adds quantities up to the limit, and keeps what the other cart determines", () => {
		const from = {
			...empty,
			currency: "EUR",
			email: "guest@example.com",
			shipping_method: "express",
			coupon_codes: ["GUEST"],
			lines: [line("a", 600), line("b"), line("c")],
		};
		const into = {
			...empty,
			currency: "EUR",
			coupon_codes: ["OWN"],
			lines: [line("b", 2), line("a", 600)],
		};
		expect(rules.merge(from, into)).toEqual({
			...into,
			shipping_method: "express",
			lines: [line("b", 3), line("a", 1000), line("c")],
		});
	});

	test("leaves out lines beyond the limit", () => {
		const full = Array.from({ length: 99 }, (_, i) => line(`p${i}`));
		const from = { ...empty, currency: "EUR", lines: [line("x"), line("y"), line("p0", 4)] };
		const { lines } = rules.merge(from, { ...empty, currency: "EUR", lines: full });
		expect(lines).toHaveLength(100);
		expect([lines[0], lines[99]]).toEqual([line("p0", 5), line("x")]);
	});

	test.each([
		["EUR", ["a"], "USD", ["b"], "MIXED"],
		["EUR", ["a"], null, [], "EUR"],
		["EUR", ["a"], "USD", [], "EUR"],
		["USD", [], "EUR", ["a"], "EUR"],
		[null, [], "EUR", ["a"], "EUR"],
		[null, [], "EUR", [], "EUR"],
	])("of a cart in %s with lines %j into one in %s with lines %j: %s", (...row) => {
		const [fromCurrency, fromLines, intoCurrency, intoLines, expected] = row;
		const from = { ...empty, currency: fromCurrency, lines: fromLines.map((id) => line(id)) };
		const into = { ...empty, currency: intoCurrency, lines: intoLines.map((id) => line(id)) };
		if (expected === "MIXED") expect(() => rules.merge(from, into)).toThrow("several currencies");
		else expect(rules.merge(from, into).currency).toBe(expected);
	});
});
