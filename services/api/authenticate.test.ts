import { afterEach, expect, jest, test } from "@jest/globals";
import { ACCESS_TOKEN_SECONDS, signAccessToken } from "../../lib/access-token.ts";
import { authenticator } from "./authenticate.ts";

afterEach(() => {
	jest.restoreAllMocks();
});

const secret = "a secret that is long enough for a test";
const claims = { sub: "019a0000-0000-7000-8000-00000000000a", email: "somebody@example.com", role: "user", session: "one" } as const;
const refused = expect.objectContaining({ type: "UNAUTHENTICATED" });

test("a token that was good once is good until it expires, and no longer", () => {
	const authenticate = authenticator(secret);
	const header = `Bearer ${signAccessToken(claims, secret)}`;
	const user = { id: claims.sub, email: claims.email, role: claims.role };
	expect(authenticate(header)).toEqual(user);
	expect(authenticate(header)).toEqual(user);
	const now = Date.now();
	jest.spyOn(Date, "now").mockReturnValue(now + (ACCESS_TOKEN_SECONDS + 1) * 1000);
	expect(() => authenticate(header)).toThrow(refused);
	expect(() => authenticate(header)).toThrow(refused);
});

test("who it is cannot be changed by whoever is told", () => {
	const authenticate = authenticator(secret);
	const user = authenticate(`Bearer ${signAccessToken(claims, secret)}`);
	expect(() => Object.assign(user!, { role: "admin" })).toThrow(TypeError);
});

test("no header is nobody, any header but a good token's is refused", () => {
	const authenticate = authenticator(secret);
	expect(authenticate(undefined)).toBeNull();
	for (const header of ["", "Bearer", "Bearer a b", "Basic YTpi", `Bearer ${signAccessToken(claims, `${secret}!`)}`]) {
		expect(() => authenticate(header)).toThrow(refused);
	}
});
