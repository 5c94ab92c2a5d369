import { expect, test } from "@jest/globals";
import jwt from "jsonwebtoken";
import { type AccessClaims, signAccessToken, verifyAccessToken } from "./access-token.ts";

const secret = "a secret for tests only, long enough to be one";
const claims: AccessClaims = { sub: "019a0000-0000-7000-8000-00000000000b", email: "zoe@example.com", role: "user", session: "s" };
const ours = { issuer: "moleculer-commerce", audience: "moleculer-commerce" } as const;

test("what was signed is read back, and is good for a quarter of an hour", () => {
	const read = verifyAccessToken(signAccessToken(claims, secret), secret) as AccessClaims & jwt.JwtPayload;
	expect(read).toMatchObject({ ...claims, iss: ours.issuer, aud: ours.audience });
	expect(read.exp! - read.iat!).toBe(900);
});

test("two tokens of one session are told apart", () => {
	const ids = [1, 2].map(() => jwt.decode(signAccessToken(claims, secret), { json: true })?.jti);
	expect(new Set(ids).size).toBe(2);
	expect(ids).not.toContain(undefined);
});

test.each([
	["with another secret", jwt.sign(claims, `${secret}!`, { ...ours, expiresIn: 900 })],
	["with another algorithm", jwt.sign(claims, secret, { ...ours, expiresIn: 900, algorithm: "HS512" })],
	["not at all", jwt.sign(claims, "", { ...ours, expiresIn: 900, algorithm: "none" })],
	["by somebody else", jwt.sign(claims, secret, { ...ours, expiresIn: 900, issuer: "another-shop" })],
	["for somebody else", jwt.sign(claims, secret, { ...ours, expiresIn: 900, audience: "another-shop" })],
	["for good, long ago", jwt.sign({ ...claims, iat: 1_700_000_000 }, secret, ours)],
	["and has expired", jwt.sign(claims, secret, { ...ours, expiresIn: -1 })],
	["and was cut off", signAccessToken(claims, secret).slice(0, -1)],
	["as no token", "nonsense"],
])("a token that was signed %s is refused", (_how, token) => {
	expect(() => verifyAccessToken(token, secret)).toThrow(expect.objectContaining({ type: "UNAUTHENTICATED", code: 401 }));
});
