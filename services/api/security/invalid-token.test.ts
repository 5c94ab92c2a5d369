import { afterAll, beforeAll, expect, test } from "@jest/globals";
import { v7 as uuid } from "uuid";
import { stubbedServices, token } from "../../../test/support/gateway.ts";
import { type Shop, startShop, stub } from "../../../test/support/shop.ts";
import { auth } from "../../auth/auth.contract.ts";

let shop: Shop;
let user: string;
beforeAll(async () => {
	const tokens = {
		access_token: "a",
		token_type: "bearer" as const,
		expires_in: 1,
		refresh_token: "r",
	};
	const sessions = stub(auth, {
		login: async () => tokens,
		refresh: async () => tokens,
		logout: async () => null,
		revocations: async () => ({ revocations: [], now: new Date().toISOString() }),
	});
	shop = await startShop({
		services: ["api"],
		stubs: [...stubbedServices().filter(({ name }) => name !== "auth"), sessions],
	});
	user = token(shop.env);
});
afterAll(() => shop?.stop());

/** Values of Authorization that identify no user. */
function invalidCredentials(): string[] {
	const other = token({ ...shop.env, JWT_SECRET: "another secret, just as long as the first one" });
	const unsigned = `${Buffer.from('{"alg":"none"}').toString("base64url")}.${user.split(".")[1]}.`;
	const tokens = ["x", other, unsigned, `${user}x`, user.slice(0, -1), `${user} ${user}`];
	return [...tokens.map((bad) => `Bearer ${bad}`), "", "Bearer", "Bearer ", "Basic dTpw", user];
}

const refresh_token = "r";
const publicRequests: [string, object | undefined, number][] = [
	["GET /api/products", undefined, 200],
	[`GET /api/products/${uuid()}`, undefined, 200],
	["POST /api/users/login", { email: "zoe@example.com", password: "correct horse" }, 200],
	["POST /api/auth/refresh", { refresh_token }, 200],
	["POST /api/auth/logout", { refresh_token }, 204],
];

test("a route for users rejects every invalid token", async () => {
	for (const authorization of invalidCredentials()) {
		const { status, headers, body } = await shop.http("GET /api/users/me", {
			headers: { authorization },
		});
		expect([status, body.code, headers.get("www-authenticate")]).toEqual([
			401,
			"UNAUTHENTICATED",
			"Bearer",
		]);
	}
	expect(
		(await shop.http("GET /api/users/me", { headers: { authorization: `bearer ${user}` } })).status,
	).toBe(200);
});

test.each(publicRequests)(
	"%s ignores an invalid token and reports it in WWW-Authenticate",
	async (request, body, expected) => {
		const send = async (authorization: string) => {
			const { status, headers } = await shop.http(request, {
				headers: { authorization },
				...(body ? { body } : {}),
			});
			return [status, headers.get("www-authenticate")];
		};
		for (const authorization of invalidCredentials())
			expect(await send(authorization)).toEqual([expected, 'Bearer error="invalid_token"']);
		expect(await send(`Bearer ${user}`)).toEqual([expected, null]);
	},
);

test("without revocations, public routes work and routes for users return 503", async () => {
	const { revocations } = shop.broker.getLocalService("api") as unknown as { revocations: object };
	Object.defineProperty(revocations, "known", { value: false, configurable: true });
	for (const [request, body, expected] of publicRequests) {
		const { status, headers } = await shop.http(request, {
			token: user,
			...(body ? { body } : {}),
		});
		expect([request, status, headers.get("www-authenticate")]).toEqual([request, expected, null]);
	}
	expect((await shop.http("GET /api/users/me", { token: user })).status).toBe(503);
	delete (revocations as { known?: boolean }).known;
});
