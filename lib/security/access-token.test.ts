import { expect, test } from "@jest/globals";
import jwt from "jsonwebtoken";
import { type AccessClaims, accessTokenVerifier, signAccessToken } from "./access-token.ts";

const secret = "a secret for tests only, long enough to be one";
const claims: AccessClaims = {
	sub: "019a0000-0000-7000-8000-00000000000b",
	email: "zoe@example.com",
	role: "user",
	session: "s",
	version: 1,
};
const verify = accessTokenVerifier(secret);
const keyid = jwt.decode(signAccessToken(claims, secret), { complete: true })!.header.kid!;
const options = { issuer: "moleculer-commerce", audience: "moleculer-commerce", keyid };

test("a signed token can be verified and expires after 15 minutes", () => {
	const read = verify(signAccessToken(claims, secret)) as AccessClaims & jwt.JwtPayload;
	expect(read).toMatchObject({ ...claims, iss: options.issuer, aud: options.audience });
	expect(read.exp! - read.iat!).toBe(900);
});

test("two tokens of one session have different IDs", () => {
	const ids = [1, 2].map(() => jwt.decode(signAccessToken(claims, secret), { json: true })?.jti);
	expect(new Set(ids).size).toBe(2);
	expect(ids).not.toContain(undefined);
});

test.each([
	["with another secret", jwt.sign(claims, `${secret}!`, { ...options, expiresIn: 900 })],
	[
		"with another algorithm",
		jwt.sign(claims, secret, { ...options, expiresIn: 900, algorithm: "HS512" }),
	],
	["without an algorithm", jwt.sign(claims, "", { ...options, expiresIn: 900, algorithm: "none" })],
	[
		"by another issuer",
		jwt.sign(claims, secret, { ...options, expiresIn: 900, issuer: "another-shop" }),
	],
	[
		"for another audience",
		jwt.sign(claims, secret, { ...options, expiresIn: 900, audience: "another-shop" }),
	],
	["without expiry, long ago", jwt.sign({ ...claims, iat: 1_700_000_000 }, secret, options)],
	["and that has expired", jwt.sign(claims, secret, { ...options, expiresIn: -1 })],
	["and then truncated", signAccessToken(claims, secret).slice(0, -1)],
	["without a key ID", jwt.sign(claims, secret, { ...options, keyid: "", expiresIn: 900 })],
	[
		"with another secret under our key ID",
		jwt.sign(claims, "another secret", { ...options, expiresIn: 900 }),
	],
	["as nonsense", "nonsense"],
])("the verifier rejects a token that was signed %s", (_title, token) => {
	expect(() => verify(token)).toThrow(
		expect.objectContaining({ type: "UNAUTHENTICATED", code: 401 }),
	);
});

test("during a rotation, tokens of both secrets are accepted, and those of a third are not", () => {
	const [next, third] = [
		"the secret that comes next, just as long",
		"a secret that was never configured here",
	];
	const both = accessTokenVerifier(next, secret);
	for (const one of [secret, next])
		expect(both(signAccessToken(claims, one))).toMatchObject(claims);
	expect(() => both(signAccessToken(claims, third))).toThrow(
		expect.objectContaining({ type: "UNAUTHENTICATED" }),
	);
	expect(() => verify(signAccessToken(claims, next))).toThrow(
		expect.objectContaining({ type: "UNAUTHENTICATED" }),
	);
});
