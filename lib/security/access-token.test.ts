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
const ours = { issuer: "moleculer-commerce", audience: "moleculer-commerce", keyid };

test("what was signed is read back, and is good for a quarter of an hour", () => {
	const read = verify(signAccessToken(claims, secret)) as AccessClaims & jwt.JwtPayload;
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
	[
		"with another algorithm",
		jwt.sign(claims, secret, { ...ours, expiresIn: 900, algorithm: "HS512" }),
	],
	["not at all", jwt.sign(claims, "", { ...ours, expiresIn: 900, algorithm: "none" })],
	[
		"by somebody else",
		jwt.sign(claims, secret, { ...ours, expiresIn: 900, issuer: "another-shop" }),
	],
	[
		"for somebody else",
		jwt.sign(claims, secret, { ...ours, expiresIn: 900, audience: "another-shop" }),
	],
	["for good, long ago", jwt.sign({ ...claims, iat: 1_700_000_000 }, secret, ours)],
	["and has expired", jwt.sign(claims, secret, { ...ours, expiresIn: -1 })],
	["and was cut off", signAccessToken(claims, secret).slice(0, -1)],
	[
		"by us, but does not say with which secret",
		jwt.sign(claims, secret, { ...ours, keyid: "", expiresIn: 900 }),
	],
	[
		"with another secret under the name of ours",
		jwt.sign(claims, "another secret", { ...ours, expiresIn: 900 }),
	],
	["as no token", "nonsense"],
])("a token that was signed %s is refused", (_how, token) => {
	expect(() => verify(token)).toThrow(
		expect.objectContaining({ type: "UNAUTHENTICATED", code: 401 }),
	);
});

test("while the secret is changed, tokens of both are good; those of a third are not", () => {
	const [next, third] = [
		"the secret that comes next, just as long",
		"a secret that nobody has ever heard of",
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
