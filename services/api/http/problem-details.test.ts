import { afterAll, beforeAll, expect, test } from "@jest/globals";
import { Errors } from "moleculer";
import { v7 as uuid } from "uuid";
import { contractError } from "../../../lib/contracts/contract.ts";
import { commonError } from "../../../lib/contracts/errors.ts";
import { eventually } from "../../../test/support/eventually.ts";
import { stubbedServices, token } from "../../../test/support/gateway.ts";
import { type Shop, startShop, stub } from "../../../test/support/shop.ts";
import { notifications } from "../../notifications/notifications.contract.ts";
import { payments } from "../../payments/payments.contract.ts";

let shop: Shop;
let user: string;
let admin: string;
/** Errors of the stubbed actions. */
let fault: unknown;
const lines: Record<string, unknown>[] = [];
/** Access-log lines of a request. */
const logged = ({ body }: { body: { request_id: string } }) =>
	eventually(() => {
		const about = lines.filter(({ request_id }) => request_id === body.request_id);
		expect(about).not.toEqual([]);
		return about;
	});

beforeAll(async () => {
	const fail = async () => {
		throw fault;
	};
	shop = await startShop({
		services: ["api"],
		env: { LOGLEVEL: "warn" },
		onLog: (line) => void lines.push(JSON.parse(line)),
		stubs: [
			...stubbedServices(),
			stub(payments, { refund: fail, list: fail }),
			stub(notifications, {
				/** Passes something on that the other refuses. */
				list: async (ctx) =>
					ctx.call("payments.list", { order_id: "not an id" }).then(() => ({ rows: [], total: 0 })),
			}),
		],
	});
	user = token(shop.env);
	admin = token(shop.env, "admin");
});
afterAll(() => shop?.stop());

async function failWith(error: unknown) {
	fault = error;
	return shop.http(`GET /api/payments?order_id=${uuid()}`, { token: user });
}

test("responds with 404 to an unknown path", async () => {
	for (const path of [
		"/api/nothing",
		"/nothing",
		"/api/products//x",
		"/api//products",
		"/api/products/%zz",
		"/api/%ff",
		"/api",
		"//api/products",
	]) {
		const { status, headers, body } = await shop.http(`GET ${path}`);
		expect([path, status, body.code]).toEqual([path, 404, "ROUTE_NOT_FOUND"]);
		expect(headers.get("content-type")).toBe("application/problem+json");
		expect(body).toEqual({
			type: "/docs/errors#ROUTE_NOT_FOUND",
			title: "Route not found",
			status: 404,
			detail: "No route matches this path",
			code: "ROUTE_NOT_FOUND",
			request_id: headers.get("x-request-id"),
		});
	}
});

test("responds with 405 and Allow to a method that is not allowed", async () => {
	const { status, headers, body } = await shop.http("DELETE /api/products", { token: admin });
	expect([status, body.code, headers.get("allow")]).toEqual([
		405,
		"METHOD_NOT_ALLOWED",
		"GET, HEAD, POST, OPTIONS",
	]);
	expect((await shop.http("POST /health")).headers.get("allow")).toBe("GET, HEAD, OPTIONS");
	expect((await shop.http("PATCH /api/users/me", { token: user, body: {} })).status).toBe(405);
});

test("responds with 401 without a token, before validating anything else", async () => {
	const { status, headers, body } = await shop.http("POST /api/products", { body: "{" });
	expect([status, body.code, body.detail]).toEqual([
		401,
		"UNAUTHENTICATED",
		"Invalid authentication credentials",
	]);
	expect(headers.get("www-authenticate")).toBe("Bearer");
});

test("responds with 403 to a user without permission", async () => {
	const { status, body } = await shop.http("POST /api/products", { token: user, body: {} });
	expect([status, body.code, body.detail]).toEqual([403, "FORBIDDEN", "Insufficient permissions"]);
});

test("sends a contract's error with its status and data", async () => {
	const order_id = uuid();
	const { status, body } = await failWith(
		contractError(payments, "PAYMENT_DECLINED", { order_id, status: 200, code: "X" }),
	);
	expect(status).toBe(402);
	expect(body).toMatchObject({
		status: 402,
		code: "PAYMENT_DECLINED",
		title: "Payment declined",
		order_id,
	});
	expect(await logged({ body })).toMatchObject([
		{ level: "warn", method: "GET", path: "/api/payments", status: 402, code: "PAYMENT_DECLINED" },
	]);
});

test("sends the same problem for an error from another node, without its class", async () => {
	const plain = Object.assign(new Error("Not that much"), {
		code: 409,
		type: "NOT_REFUNDABLE",
		data: { left: 1 },
	});
	expect(await failWith(plain)).toMatchObject({
		status: 409,
		body: { code: "NOT_REFUNDABLE", detail: "Not that much", left: 1 },
	});
});

test("sends an action's own field errors in the validator's format", async () => {
	fault = commonError("VALIDATION_ERROR", {
		errors: [{ field: "amount", message: "Too much", code: "TOO_MUCH" }],
	});
	const { status, body } = await shop.http(`POST /api/payments/${uuid()}/refunds`, {
		token: admin,
		body: {},
	});
	expect([status, body.code, body.errors]).toEqual([
		422,
		"VALIDATION_ERROR",
		[{ field: "amount", message: "Too much", code: "TOO_MUCH" }],
	]);
});

const secret = "secret: db password";
test.each([
	["a plain error", new Error(secret)],
	["a thrown text", secret],
	["nothing", undefined],
	["moleculer's own", new Errors.MoleculerError(secret, 500, "ERR_SECRET", { secret })],
	["a status that is none", new Errors.MoleculerError(secret, 200, "FINE", { secret })],
	["a status without a code", Object.assign(new Error(secret), { code: 404 })],
	["Postgres' no", Object.assign(new Error(secret), { code: "23505", detail: secret })],
	["too many calls in calls", new Errors.MaxCallLevelError({ nodeID: secret, level: 100 })],
])("hides the message of an internal error: %s", async (_what, error) => {
	const { status, body } = await failWith(error);
	expect(status).toBe(500);
	expect(body).toEqual({
		type: "/docs/errors#INTERNAL_ERROR",
		title: "Internal error",
		status: 500,
		detail: "Internal error; report it with the request_id",
		code: "INTERNAL_ERROR",
		request_id: expect.any(String),
	});
	expect(await logged({ body })).toMatchObject([
		{ level: "error", status: 500, error: expect.anything() },
	]);
});

test("reports an invalid call between services as an internal error", async () => {
	const { status, body } = await shop.http("GET /api/notifications", { token: user });
	expect([status, body.code, body.errors]).toEqual([500, "INTERNAL_ERROR", undefined]);
});

const about = { action: "orders.create", nodeID: secret };
test.each([
	["no such service", new Errors.ServiceNotFoundError(about)],
	["no node with it", new Errors.ServiceNotAvailableError(about)],
	["no response in time", new Errors.RequestTimeoutError(about)],
	["no time left", new Errors.RequestSkippedError(about)],
	["an open circuit", new Errors.RequestRejectedError(about)],
	["a full queue", new Errors.QueueIsFullError({ ...about, size: 1, limit: 1 } as never)],
	[
		"a lost connection to NATS",
		Object.assign(new Error(secret), { type: "BAD_GATEWAY", code: 502 }),
	],
	["a database that is down", Object.assign(new Error(secret), { code: "ECONNREFUSED" })],
	[
		"a database that shuts down",
		Object.assign(new Error(secret), { name: "SequelizeDatabaseError", parent: { code: "57P01" } }),
	],
])("responds with 503 and Retry-After to an outage: %s", async (_what, error) => {
	const { status, headers, body } = await failWith(error);
	expect([status, body.code, body.detail, headers.get("retry-after")]).toEqual([
		503,
		"SERVICE_UNAVAILABLE",
		"Service temporarily unavailable",
		"5",
	]);
	expect(JSON.stringify(body)).not.toContain(secret);
	expect(await logged({ body })).toMatchObject([{ level: "error", status: 503 }]);
});
