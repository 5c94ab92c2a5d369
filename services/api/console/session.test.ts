import { expect, test } from "@jest/globals";
import { parseSetCookie } from "cookie";
import { v7 as uuid } from "uuid";
import { type Customer, makeAdmin, register } from "../../../test/support/builders.ts";
import { listen } from "../../../test/support/event-stream.ts";
import { eventually } from "../../../test/support/eventually.ts";
import type { HttpResponse } from "../../../test/support/http.ts";
import { type Shop, stub } from "../../../test/support/shop.ts";
import { orders } from "../../orders/orders.contract.ts";
import { gateways } from "../test/gateways.ts";

const { start } = gateways();
const open = (env: Record<string, string> = {}) =>
	start({ services: ["api", "auth", "users"], env });
/** Header that only the console's own pages can send. */
const own = { "console-request": "1" };

const cookiesOf = ({ headers }: HttpResponse) =>
	headers.getSetCookie().map((header) => parseSetCookie(header));
/** Value of the Cookie header of a browser for requests to a path. */
const jarOf = (response: HttpResponse, path: "/api" | "/console/session"): string =>
	cookiesOf(response)
		.filter((cookie) => cookie.path === path)
		.map(({ name, value }) => `${name}=${value}`)
		.join("; ");
const signIn = ({ http }: Shop, { email, password }: Customer, headers = {}) =>
	http("POST /console/session", { body: { email, password }, headers: { ...own, ...headers } });
const refresh = ({ http }: Shop, cookie: string) =>
	http("POST /console/session/refresh", { headers: { ...own, cookie } });
const list = ({ http }: Shop, cookie: string) => http("GET /api/users", { headers: { cookie } });
const deletes = (response: HttpResponse) => cookiesOf(response).every(({ maxAge }) => maxAge === 0);

test("opens a session in cookies that scripts and other sites cannot use", async () => {
	const shop = await open();
	const admin = await makeAdmin(shop);
	const response = await signIn(shop, admin);
	const user = { id: admin.id, email: admin.email, role: "admin" };
	expect([response.status, response.body]).toEqual([200, { user, expires_in: 900 }]);
	const protection = { httpOnly: true, sameSite: "strict" };
	expect(cookiesOf(response)).toEqual([
		{ name: "console_access", value: expect.any(String), path: "/api", maxAge: 900, ...protection },
		{
			name: "console_access",
			value: expect.any(String),
			path: "/console/session",
			maxAge: 900,
			...protection,
		},
		{ name: "console_refresh", value: expect.any(String), path: "/console/session", ...protection },
	]);
	expect(response.headers.get("cache-control")).toBe("no-store");

	const users = await list(shop, jarOf(response, "/api"));
	expect([users.status, users.headers.get("cache-control")]).toEqual([200, "no-store"]);
	const read = (cookie = "") => shop.http("GET /console/session", { headers: { cookie } });
	expect((await read(jarOf(response, "/console/session"))).body).toEqual({
		user,
		refreshable: true,
	});
	expect((await read()).body).toEqual({ user: null, refreshable: false });
	expect((await read("console_access=x; console_refresh=x")).body).toEqual({
		user: null,
		refreshable: true,
	});
});

test("marks the cookies as secure if a trusted proxy received the request by https", async () => {
	const forwarded = { "x-forwarded-proto": "https" };
	const [trusted, direct] = [await open({ TRUST_PROXY: "1" }), await open()];
	for (const [shop, headers, secure] of [
		[trusted, forwarded, true],
		[trusted, {}, undefined],
		[direct, forwarded, undefined],
	] as const) {
		const response = await signIn(shop, await makeAdmin(shop), headers);
		expect(cookiesOf(response).map((cookie) => cookie.secure)).toEqual([secure, secure, secure]);
	}
});

test("rejects changes with a cookie that another site may have sent", async () => {
	const shop = await open({ CORS_ORIGINS: "https://shop.example" });
	const admin = await makeAdmin(shop);
	const session = await signIn(shop, admin);
	const cookie = jarOf(session, "/api");
	const change = (headers: Record<string, string>) =>
		shop.http(`PATCH /api/users/${admin.id}`, {
			body: { full_name: "New" },
			headers: { cookie, ...headers },
		});
	for (const headers of [
		{},
		{ origin: shop.url },
		{ "console-request": "0" },
		{ ...own, origin: "https://shop.example" },
		{ ...own, origin: "null" },
		{ ...own, origin: "http://127.0.0.1:1" },
	] as Record<string, string>[])
		expect(await change(headers)).toMatchObject({ status: 403, body: { code: "FORBIDDEN" } });
	for (const headers of [own, { ...own, origin: shop.url }])
		expect((await change(headers)).status).toBe(200);
	for (const request of ["POST /console/session", "POST /console/session/refresh"])
		expect(
			await shop.http(request, {
				body: { email: admin.email, password: admin.password },
				headers: { cookie: jarOf(session, "/console/session"), origin: shop.url },
			}),
		).toMatchObject({ status: 403 });
	expect((await shop.http("DELETE /console/session")).status).toBe(403);
	const preflight = await shop.http("OPTIONS /api/users", {
		headers: {
			origin: "https://shop.example",
			"access-control-request-headers": "console-request",
		},
	});
	expect(preflight.headers.get("access-control-allow-headers")).not.toMatch(/console-request/i);
	expect(preflight.headers.get("access-control-allow-credentials")).toBeNull();
});

test("treats a public request with another site's cookie as anonymous", async () => {
	const shop = await open();
	const cookie = jarOf(await signIn(shop, await makeAdmin(shop)), "/api");
	const body = { email: "new@example.com", password: "correct horse", full_name: "New" };
	expect((await shop.http("POST /api/users", { body, headers: { cookie } })).status).toBe(201);
});

test("an Authorization header has precedence over a cookie and needs no other", async () => {
	const shop = await open();
	const [admin, customer] = [await makeAdmin(shop), await register(shop)];
	const headers = { cookie: jarOf(await signIn(shop, admin), "/api"), origin: "https://a.example" };
	const rename = (token: string) =>
		shop.http(`PATCH /api/users/${customer.id}`, { token, headers, body: { full_name: "New" } });
	expect((await rename(customer.token)).status).toBe(200);
	expect((await shop.http("GET /api/users", { token: customer.token, headers })).status).toBe(403);
	expect((await rename("invalid")).status).toBe(401);
});

test("renews an expired access token, once for each refresh token", async () => {
	const shop = await open();
	const first = await signIn(shop, await makeAdmin(shop));
	// The browser deletes an expired cookie.
	const [, refreshToken] = jarOf(first, "/console/session").split("; ") as [string, string];
	expect((await list(shop, "")).status).toBe(401);
	const second = await refresh(shop, refreshToken);
	expect([second.status, second.body]).toEqual([200, first.body]);
	const cookie = jarOf(second, "/api");
	expect((await list(shop, cookie)).status).toBe(200);

	const stolen = await refresh(shop, refreshToken);
	expect([stolen.status, stolen.body.code, deletes(stolen)]).toEqual([
		401,
		"UNAUTHENTICATED",
		true,
	]);
	await eventually(async () => expect((await list(shop, cookie)).status).toBe(401));
	expect((await refresh(shop, jarOf(second, "/console/session"))).status).toBe(401);
	expect((await refresh(shop, "")).status).toBe(401);
});

test("accepts only administrators, and ends the session of others", async () => {
	const shop = await open();
	const customer = await register(shop);
	const openSessions = async (id: string) =>
		(
			await shop.databases.query<{ count: string }>(
				"auth",
				"select count(*) from sessions where user_id = $1 and revoked_at is null",
				[id],
			)
		)[0]!.count;
	const before = await openSessions(customer.id);
	const rejected = await signIn(shop, customer);
	expect([rejected.status, rejected.body.detail, deletes(rejected)]).toEqual([
		403,
		"Only administrators can use the console",
		true,
	]);
	expect(await openSessions(customer.id)).toBe(before);
	const wrong = await signIn(shop, { ...customer, password: "wrong" });
	expect([wrong.status, wrong.body.code, cookiesOf(wrong)]).toEqual([
		401,
		"INVALID_CREDENTIALS",
		[],
	]);
	const invalid = await shop.http("POST /console/session", { body: { email: "x" }, headers: own });
	expect([invalid.status, invalid.body.errors.length > 0]).toEqual([422, true]);

	const admins = [await makeAdmin(shop), await makeAdmin(shop)] as const;
	const session = await signIn(shop, admins[0]);
	await shop.http(`PATCH /api/users/${admins[0].id}`, {
		token: admins[1].token,
		body: { role: "user" },
	});
	// 401 if the change has already revoked the new access token.
	const demoted = await refresh(shop, jarOf(session, "/console/session"));
	expect([[401, 403].includes(demoted.status), deletes(demoted)]).toEqual([true, true]);
});

test("ends the session on sign-out", async () => {
	const shop = await open();
	const session = await signIn(shop, await makeAdmin(shop));
	const cookie = jarOf(session, "/console/session");
	const ended = await shop.http("DELETE /console/session", { headers: { ...own, cookie } });
	expect([ended.status, cookiesOf(ended).length, deletes(ended)]).toEqual([204, 3, true]);
	await eventually(async () => expect((await list(shop, jarOf(session, "/api"))).status).toBe(401));
	expect((await refresh(shop, cookie)).status).toBe(401);
	expect((await shop.http("DELETE /console/session", { headers: own })).status).toBe(204);
});

test("ends event streams on sign-out", async () => {
	const events = stub(orders, {
		events: async () => ({ events: [], ended: false }),
		versions: async ({ params: { ids } }) => ids.map(() => "1"),
	});
	const shop = await start({ services: ["api", "auth", "users"], stubs: [events] });
	const session = await signIn(shop, await makeAdmin(shop));
	const url = `${shop.url}/api/orders/${uuid()}/events`;
	const stream = await listen(url, { headers: { cookie: jarOf(session, "/api") } });
	try {
		expect(stream.status).toBe(200);
		const cookie = jarOf(session, "/console/session");
		await shop.http("DELETE /console/session", { headers: { ...own, cookie } });
		await stream.ended;
	} finally {
		stream.close();
	}
});

test("keeps the session while the auth service is down", async () => {
	const shop = await open();
	const admin = await makeAdmin(shop);
	const cookie = jarOf(await signIn(shop, admin), "/console/session");
	await shop.broker.destroyService("auth");
	for (const request of ["POST /console/session/refresh", "DELETE /console/session"]) {
		const response = await shop.http(request, { headers: { ...own, cookie } });
		expect([response.status, cookiesOf(response)]).toEqual([503, []]);
	}
	expect((await signIn(shop, admin)).status).toBe(503);
});

test("limits sign-ins by address", async () => {
	const shop = await open({ RATE_LIMIT_ENABLED: "true", RATE_LIMIT_STRICT_PER_MINUTE: "2" });
	const attempt = () =>
		shop.http("POST /console/session", {
			body: { email: "admin@example.com", password: "wrong" },
			headers: own,
		});
	const statuses = [await attempt(), await attempt(), await attempt()].map(({ status }) => status);
	expect(statuses).toEqual([401, 401, 429]);
});
