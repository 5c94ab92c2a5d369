import { afterAll, beforeAll, beforeEach, expect, test } from "@jest/globals";
import { v7 as uuid } from "uuid";
import { type RecordedCall, stubbedServices, token } from "../../test/support/gateway.ts";
import { type Shop, startShop } from "../../test/support/shop.ts";

let shop: Shop;
let admin: string;
let user: string;
const calls: RecordedCall[] = [];
beforeAll(async () => {
	shop = await startShop({
		services: ["api"],
		stubs: stubbedServices(calls),
		env: { CORS_ORIGINS: "https://shop.example, http://localhost:5173" },
	});
	admin = token(shop.env, "admin");
	user = token(shop.env);
});
beforeEach(() => {
	calls.length = 0;
});
afterAll(() => shop?.stop());

const book = { name: "A book", price: 19.99, category: "books" };

test("serves an action below /api with the route and status of its contract", async () => {
	const { status, headers, body } = await shop.http("POST /api/products", {
		token: admin,
		body: book,
	});
	expect(status).toBe(201);
	expect(body).toMatchObject({ name: "A book", price: 19.99 });
	expect(headers.get("location")).toBe(`/api/products/${body.id}`);
	expect(headers.get("content-type")).toBe("application/json; charset=utf-8");
	expect(calls).toMatchObject([
		{ action: "products.create", params: { ...book, currency: "EUR", stock: 0 } },
	]);
});

test("ignores a trailing slash", async () => {
	expect((await shop.http("GET /api/products/")).status).toBe(200);
	expect((await shop.http("GET /api/products/?limit=1")).body).toHaveLength(1);
	const { status, headers, body } = await shop.http("POST /api/products/", {
		token: admin,
		body: book,
	});
	expect([status, headers.get("location")]).toEqual([201, `/api/products/${body.id}`]);
});

test("prefers a static segment to a parameter", async () => {
	const { status, body } = await shop.http("GET /api/users/me", { token: user });
	expect([status, body.email]).toEqual([200, "user@example.com"]);
});

test("accepts the additional methods of a contract, such as PUT beside PATCH", async () => {
	const id = uuid();
	for (const method of ["PUT", "PATCH"]) {
		const { status, body } = await shop.http(`${method} /api/products/${id}`, {
			token: admin,
			body: { name: "New" },
		});
		expect([status, body.id, body.name]).toEqual([200, id, "New"]);
	}
	expect(calls.map(({ params }) => params)).toEqual([
		{ id, name: "New" },
		{ id, name: "New" },
	]);
});

test("sends no body with 204", async () => {
	const { status, headers, body } = await shop.http(`DELETE /api/products/${uuid()}`, {
		token: admin,
	});
	expect([status, body, headers.get("content-type"), headers.get("content-length")]).toEqual([
		204,
		"",
		null,
		null,
	]);
});

test("responds to HEAD like GET, without a body", async () => {
	const got = await shop.http("GET /api/products");
	const { status, headers, body } = await shop.http("HEAD /api/products");
	expect([status, body, headers.get("x-total-count")]).toEqual([200, "", "5"]);
	expect(headers.get("content-length")).toBe(got.headers.get("content-length"));
	expect((await shop.http("HEAD /api/nothing")).status).toBe(404);
});

test("sends a page as an array, with total and links in headers", async () => {
	const page = async (query: string) => {
		const { body, headers } = await shop.http(`GET /api/products${query}`);
		return [body.length, headers.get("x-total-count"), headers.get("link")];
	};
	expect(await page("")).toEqual([5, "5", null]);
	expect(await page("?limit=2&category=a%26b")).toEqual([
		2,
		"5",
		'</api/products?limit=2&category=a%26b&skip=2>; rel="next"',
	]);
	expect(await page("?skip=2&limit=2")).toEqual([
		2,
		"5",
		'</api/products?skip=4&limit=2>; rel="next", </api/products?skip=0&limit=2>; rel="prev"',
	]);
	expect(await page("?skip=3&limit=2")).toEqual([
		2,
		"5",
		'</api/products?skip=1&limit=2>; rel="prev"',
	]);
});

test("uses the status and headers that an action sets", async () => {
	const { status, headers } = await shop.http("POST /api/orders", {
		token: user,
		body: { items: [{ product_id: uuid(), quantity: 1 }] },
	});
	expect(status).toBe(202);
	expect(headers.get("location")).toBe("/api/orders/later");
	expect(headers.get("idempotent-replayed")).toBe("true");
});

test("adds request ID, duration and security headers to every response", async () => {
	for (const path of ["/api/products", "/", "/nothing"]) {
		const { headers } = await shop.http(`GET ${path}`);
		expect(headers.get("x-request-id")).toMatch(/^[0-9a-f-]{36}$/);
		expect(headers.get("x-process-time")).toMatch(/^\d+\.\d+$/);
		expect(headers.get("x-content-type-options")).toBe("nosniff");
		expect(headers.get("content-security-policy")).toBe(
			"default-src 'none';frame-ancestors 'none'",
		);
		expect(headers.get("x-powered-by")).toBeNull();
	}
});

test("passes on a well-formed request ID and replaces any other", async () => {
	const named = async (id: string) => {
		const { headers, body } = await shop.http("GET /api/nothing", {
			headers: { "x-request-id": id },
		});
		expect(body.request_id).toBe(headers.get("x-request-id"));
		return headers.get("x-request-id");
	};
	expect(await named("mine-1.2_3")).toBe("mine-1.2_3");
	await shop.http("GET /api/products", { headers: { "x-request-id": "mine-2" } });
	expect(calls[0]!.requestID).toBe("mine-2");
	for (const id of ["x".repeat(65), "two words", "a<b>", "x".repeat(300)])
		expect(await named(id)).toMatch(/^[0-9a-f-]{36}$/);
	const { headers } = await shop.http("GET /api/nothing", {
		headers: { "x-correlation-id": "theirs" },
	});
	expect(headers.get("x-request-id")).not.toBe("theirs");
});

test("passes only known headers on to an action", async () => {
	const traceparent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
	const headers = {
		"idempotency-key": "key 1",
		prefer: "wait=5, respond-async",
		traceparent,
		"x-user": "admin",
		"x-meta-role": "admin",
	};
	const id = uuid();
	await shop.http("POST /api/orders", {
		token: token(shop.env, "user", id),
		headers,
		body: { items: [{ product_id: uuid(), quantity: 1 }] },
	});
	await shop.http("GET /api/products", { headers });
	await shop.http("GET /api/products", {
		headers: { traceparent: "00-0-0-01", prefer: "respond-asynchronously" },
	});
	const address = "127.0.0.1";
	expect(calls.map(({ meta }) => meta)).toEqual([
		{
			user: { id, email: "user@example.com", role: "user", session: expect.any(String) },
			address,
			idempotency_key: "key 1",
			respond_async: true,
		},
		{ user: null, address, respond_async: true },
		{ user: null, address },
	]);
	expect(calls.map(({ headers }) => headers)).toEqual([{ traceparent }, { traceparent }, {}]);
});

test("lets listed origins read every response, also errors, and no other origin", async () => {
	const requestFrom = (request: string, origin: string, headers = {}) =>
		shop.http(request, { headers: { origin, ...headers } });
	for (const request of ["GET /api/products", "GET /api/nothing", "GET /api/users/me"]) {
		const { headers } = await requestFrom(request, "http://localhost:5173");
		expect(headers.get("access-control-allow-origin")).toBe("http://localhost:5173");
		expect(headers.get("access-control-expose-headers")).toContain("X-Total-Count");
		expect(headers.get("access-control-allow-credentials")).toBeNull();
	}
	const foreign = await requestFrom("GET /api/products", "https://evil.example");
	expect([
		foreign.status,
		foreign.headers.get("access-control-allow-origin"),
		foreign.headers.get("vary"),
	]).toEqual([200, null, "Origin"]);
});

test("responds to preflight requests without authentication", async () => {
	const preflight = (path: string, origin: string, method = "PATCH") =>
		shop.http(`OPTIONS ${path}`, { headers: { origin, "access-control-request-method": method } });
	const { status, headers } = await preflight(`/api/products/${uuid()}`, "https://shop.example");
	expect(status).toBe(204);
	expect(headers.get("access-control-allow-origin")).toBe("https://shop.example");
	expect(headers.get("access-control-allow-methods")).toBe(
		"DELETE, GET, HEAD, PATCH, PUT, OPTIONS",
	);
	expect(headers.get("access-control-allow-headers")).toContain("Idempotency-Key");
	const foreign = await preflight(`/api/products/${uuid()}`, "https://evil.example");
	expect([foreign.status, foreign.headers.get("access-control-allow-methods")]).toEqual([
		204,
		null,
	]);
	expect((await preflight("/api/nothing", "https://shop.example")).status).toBe(404);
});

test("lists the methods of a path for OPTIONS", async () => {
	const { status, headers } = await shop.http("OPTIONS /api/products");
	expect([status, headers.get("allow")]).toEqual([204, "GET, HEAD, POST, OPTIONS"]);
});

test("calls only actions that have a route", async () => {
	for (const path of [
		"/api/products/resolve",
		"/products.resolve",
		"/api/products.resolve",
		"/$node/list",
		"/~node/list",
		"/api/list-aliases",
	]) {
		expect(
			(await shop.http(`POST ${path}`, { token: admin, body: { ids: [] } })).status,
		).toBeGreaterThanOrEqual(404);
	}
	expect(calls).toEqual([]);
});
