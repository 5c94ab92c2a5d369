import { afterEach, expect, jest, test } from "@jest/globals";
import {
	ACCESS_TOKEN_SECONDS,
	accessTokenVerifier,
	signAccessToken,
} from "../../../lib/security/access-token.ts";
import { authenticator, type Revoked } from "./authenticate.ts";

afterEach(() => {
	jest.restoreAllMocks();
});

const secret = "a secret that is long enough for a test";
const claims = {
	sub: "019a0000-0000-7000-8000-00000000000a",
	email: "somebody@example.com",
	role: "user",
	session: "one",
	version: 1,
} as const;
const nothingRevoked = { known: true, isVoid: () => false };
const make = (revoked: Revoked = nothingRevoked) =>
	authenticator(accessTokenVerifier(secret), revoked);
const refused = expect.objectContaining({ type: "UNAUTHENTICATED" });

test("accepts a cached token until it expires", () => {
	const authenticate = make();
	const header = `Bearer ${signAccessToken(claims, secret)}`;
	const user = { id: claims.sub, email: claims.email, role: claims.role, session: claims.session };
	expect(authenticate(header)).toEqual(user);
	expect(authenticate(header)).toEqual(user);
	const now = Date.now();
	jest.spyOn(Date, "now").mockReturnValue(now + (ACCESS_TOKEN_SECONDS + 1) * 1000);
	expect(() => authenticate(header)).toThrow(refused);
	expect(() => authenticate(header)).toThrow(refused);
});

test("returns an immutable user", () => {
	const authenticate = make();
	const user = authenticate(`Bearer ${signAccessToken(claims, secret)}`);
	expect(() => Object.assign(user!, { role: "admin" })).toThrow(TypeError);
});

test("returns null without a header, and rejects any header without a valid token", () => {
	const authenticate = make();
	expect(authenticate(undefined)).toBeNull();
	for (const header of [
		"",
		"Bearer",
		"Bearer a b",
		"Basic YTpi",
		`Bearer ${signAccessToken(claims, `${secret}!`)}`,
	]) {
		expect(() => authenticate(header)).toThrow(refused);
	}
});

test("rejects a revoked token, also if it is cached", () => {
	let revoked = false;
	const authenticate = make({ known: true, isVoid: ({ session }) => revoked && session === "one" });
	const header = `Bearer ${signAccessToken(claims, secret)}`;
	expect(authenticate(header)).not.toBeNull();
	revoked = true;
	expect(() => authenticate(header)).toThrow(refused);
	expect(
		authenticate(`Bearer ${signAccessToken({ ...claims, session: "two" }, secret)}`),
	).not.toBeNull();
});

test("throws SERVICE_UNAVAILABLE until the revocations have been loaded", () => {
	const authenticate = make({ ...nothingRevoked, known: false });
	expect(() => authenticate(`Bearer ${signAccessToken(claims, secret)}`)).toThrow(
		expect.objectContaining({ type: "SERVICE_UNAVAILABLE" }),
	);
	expect(authenticate(undefined)).toBeNull();
});
