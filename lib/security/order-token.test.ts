import { expect, test } from "@jest/globals";
import { createOrderToken, isOrderToken } from "./order-token.ts";

const secret = "a secret that is long enough for a test";
const previous = "another secret that is long enough for a test";
const id = "019a0000-0000-7000-8000-000000000001";
const otherId = "019a0000-0000-7000-8000-000000000002";

test("a token has 256 bits, and depends on secret and order only", () => {
	const token = createOrderToken(secret, id);
	expect(token).toMatch(/^[\w-]{43}$/);
	expect(createOrderToken(secret, id)).toBe(token);
	expect(createOrderToken(secret, otherId)).not.toBe(token);
	expect(createOrderToken(previous, id)).not.toBe(token);
});

test("accepts the token of the order under one of the secrets", () => {
	const token = createOrderToken(secret, id);
	expect(isOrderToken([secret], id, token)).toBe(true);
	expect(isOrderToken([previous, secret], id, token)).toBe(true);
	for (const wrong of ["", "x", "ä".repeat(43), `${token}x`, createOrderToken(secret, otherId)])
		expect(isOrderToken([secret], id, wrong)).toBe(false);
	expect(isOrderToken([previous], id, token)).toBe(false);
	expect(isOrderToken([], id, token)).toBe(false);
});
