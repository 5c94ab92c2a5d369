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

test("a token that was good once is good until it expires, and no longer", () => {
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

test("who it is cannot be changed by whoever is told", () => {
	const authenticate = make();
	const user = authenticate(`Bearer ${signAccessToken(claims, secret)}`);
	expect(() => Object.assign(user!, { role: "admin" })).toThrow(TypeError);
});

test("no header is nobody, any header but a good token's is refused", () => {
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

test("a token that is revoked is refused from then on, also when it was good before", () => {
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

test("while it is not known what is revoked nobody is believed, and nobody is told that the token is bad", () => {
	const authenticate = make({ ...nothingRevoked, known: false });
	expect(() => authenticate(`Bearer ${signAccessToken(claims, secret)}`)).toThrow(
		expect.objectContaining({ type: "SERVICE_UNAVAILABLE" }),
	);
	expect(authenticate(undefined)).toBeNull();
});
