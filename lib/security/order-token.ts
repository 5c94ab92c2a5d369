import {
	createHmac,
	createSecretKey,
	hkdfSync,
	type KeyObject,
	timingSafeEqual,
} from "node:crypto";

/** Separates this use of the secret from all others (RFC 5869, 3.2). */
const PURPOSE = "order token";
const KEY_BYTES = 32;

/**
 * The secret with which a guest accesses an order: 256 bits in base64url. It is derived from the
 * order's ID, so no database or event contains it.
 * @param secret JWT_SECRET
 */
export const createOrderToken = (secret: string, orderId: string): string =>
	tokenBytes(secret, orderId).toString("base64url");

/**
 * Whether a token is that of an order under one of the secrets. The time does not depend on the
 * token, except its length.
 */
export function isOrderToken(secrets: readonly string[], orderId: string, token: string): boolean {
	const given = Buffer.from(token);
	return secrets
		.map((secret) => Buffer.from(createOrderToken(secret, orderId)))
		.map((expected) => expected.length === given.length && timingSafeEqual(expected, given))
		.includes(true);
}

const tokenBytes = (secret: string, orderId: string): Buffer =>
	createHmac("sha256", keyOf(secret)).update(orderId).digest();

/** Keys by secret. Deriving one takes longer than the rest of a token. */
const keys = new Map<string, KeyObject>();

function keyOf(secret: string): KeyObject {
	const found = keys.get(secret);
	if (found) return found;
	const key = createSecretKey(Buffer.from(hkdfSync("sha256", secret, "", PURPOSE, KEY_BYTES)));
	keys.set(secret, key);
	return key;
}
