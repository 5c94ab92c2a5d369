import { Agent, request } from "node:http";
import { afterAll, beforeAll, beforeEach, expect, test } from "@jest/globals";
import { type RecordedCall, stubbedServices, token } from "../../../test/support/gateway.ts";
import type { HttpResponse } from "../../../test/support/http.ts";
import { summarizeProblem } from "../../../test/support/problems.ts";
import { type Shop, startShop } from "../../../test/support/shop.ts";

let shop: Shop;
let admin: string;
const calls: RecordedCall[] = [];
/** Number of connections that `send` opened. */
let connections = 0;
beforeAll(async () => {
	shop = await startShop({ services: ["api"], stubs: stubbedServices(calls) });
	admin = token(shop.env, "admin");
});
beforeEach(() => {
	calls.length = 0;
	connections = 0;
});
afterAll(() => shop?.stop());

const book = { name: "A book", price: 19.99, category: "books" };
const create = (body: unknown, headers?: Record<string, string>) =>
	shop.http("POST /api/products", { token: admin, body, ...(headers ? { headers } : {}) });

test("ignores the body of a request whose method has none", async () => {
	const { status } = await send(
		"GET /api/products",
		{ "content-type": "text/plain", "content-length": "2" },
		["{]"],
	);
	expect(status).toBe(200);
});

test.each([
	["invalid JSON", '{"name":', 400, "MALFORMED_BODY"],
	["a single quote", "{'name':1}", 400, "MALFORMED_BODY"],
	[
		"bytes that are not UTF-8",
		Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d]),
		400,
		"MALFORMED_BODY",
	],
	["a list", "[1]", 422, "VALIDATION_ERROR"],
	["null", "null", 422, "VALIDATION_ERROR"],
	["a text", '"x"', 422, "VALIDATION_ERROR"],
	[
		"a prototype",
		'{"__proto__":{"role":"admin"},"name":"A","price":1,"category":"c"}',
		422,
		"VALIDATION_ERROR",
	],
	[
		"a prototype further down",
		'{"name":{"__proto__":1},"price":1,"category":"c"}',
		422,
		"VALIDATION_ERROR",
	],
	[
		"meta",
		'{"$meta":{"user":{"role":"admin"}},"name":"A","price":1,"category":"c"}',
		422,
		"VALIDATION_ERROR",
	],
	["NUL", '{"name":"a\\u0000","price":1,"category":"c"}', 422, "VALIDATION_ERROR"],
	[
		"half of a surrogate pair",
		'{"name":"\\ud83d","price":1,"category":"c"}',
		422,
		"VALIDATION_ERROR",
	],
	[
		"a number beyond all numbers",
		'{"name":"A","price":1e999,"category":"c"}',
		422,
		"VALIDATION_ERROR",
	],
	["depth", `{"name":${"[".repeat(30_000)}${"]".repeat(30_000)}}`, 422, "VALIDATION_ERROR"],
])("rejects a body with %s", async (_what, body, status, code) => {
	const response = await send("POST /api/products", { "content-type": "application/json" }, [body]);
	expect([response.status, response.body.code]).toEqual([status, code]);
	expect(calls).toEqual([]);
});

test("treats a missing body as an empty object", async () => {
	const ways: Record<string, string>[] = [
		{ "content-length": "0" },
		{ "transfer-encoding": "chunked" },
		{ "content-type": "text/plain" },
	];
	for (const headers of ways) {
		expect(summarizeProblem(await send("POST /api/users", headers, []))).toEqual([
			422,
			"VALIDATION_ERROR",
			[
				["email", "REQUIRED"],
				["password", "REQUIRED"],
				["full_name", "REQUIRED"],
			],
		]);
	}
});

test("accepts only JSON with a JSON content type", async () => {
	const json = JSON.stringify(book);
	for (const type of [
		"text/plain",
		"application/x-www-form-urlencoded",
		"multipart/form-data; boundary=x",
		"application/jsonp",
		"",
	]) {
		expect(await send("POST /api/products", { "content-type": type }, [json])).toMatchObject({
			status: 415,
			body: { code: "UNSUPPORTED_MEDIA_TYPE" },
		});
	}
	const packed = { "content-type": "application/json", "content-encoding": "gzip" };
	expect((await send("POST /api/products", packed, [json])).body).toMatchObject({
		status: 415,
		code: "UNSUPPORTED_MEDIA_TYPE",
		detail: "The body must not be compressed: send it without Content-Encoding",
	});
	for (const type of [
		"application/json",
		"Application/JSON; charset=UTF-8",
		"application/json;charset=utf-8",
	]) {
		expect((await send("POST /api/products", { "content-type": type }, [json])).status).toBe(201);
	}
});

test("rejects more than 100 kB, and keeps the connection", async () => {
	const agent = new Agent({ keepAlive: true, maxSockets: 1 });
	const much = Array.from({ length: 40 }, () => "x".repeat(10_000));
	const ways: Record<string, string>[] = [
		{ "content-length": "400000" },
		{ "transfer-encoding": "chunked" },
	];
	for (const way of [...ways, ...ways]) {
		expect(
			await send("POST /api/products", { "content-type": "application/json", ...way }, much, {
				agent,
			}),
		).toMatchObject({
			status: 413,
			body: { code: "PAYLOAD_TOO_LARGE" },
		});
	}
	expect(connections).toBe(1);
	agent.destroy();
	expect((await create({ ...book, name: "x".repeat(99_000) })).status).toBe(422);
	expect((await create({ ...book, description: "x".repeat(5000) })).status).toBe(201);
});

test("responds before the rest of an oversized body has arrived", async () => {
	const headers = { "content-type": "application/json", "content-length": "10000000" };
	expect((await send("POST /api/products", headers, ["x"], { unfinished: true })).status).toBe(413);
	const chunked = { "content-type": "application/json", "transfer-encoding": "chunked" };
	expect(
		(await send("POST /api/products", chunked, ["x".repeat(150_000)], { unfinished: true })).status,
	).toBe(413);
});

test("releases a request whose client disconnects in the middle of the body", async () => {
	await expect(
		send(
			"POST /api/products",
			{ "content-type": "application/json", "content-length": "100" },
			["{"],
			{ abort: true },
		),
	).rejects.toThrow();
	expect((await create(book)).status).toBe(201);
	expect(calls).toHaveLength(1);
});

/** Sends a request with node:http, because fetch would reject or correct it. */
function send(
	what: string,
	headers: Record<string, string>,
	chunks: (string | Buffer)[],
	{ unfinished, abort, agent }: { unfinished?: boolean; abort?: boolean; agent?: Agent } = {},
): Promise<HttpResponse> {
	const [method, path] = what.split(" ") as [string, string];
	return new Promise((resolve, reject) => {
		const req = request(
			shop.url + path,
			{ method, headers: { authorization: `Bearer ${admin}`, ...headers }, agent },
			(res) => {
				let text = "";
				res.on("data", (chunk) => {
					text += chunk;
				});
				res.on("end", () => {
					if (unfinished) req.destroy();
					resolve({ status: res.statusCode!, headers: new Headers(), body: JSON.parse(text) });
				});
			},
		);
		req.on("error", reject);
		req.on("socket", () => {
			if (!req.reusedSocket) connections++;
		});
		for (const chunk of chunks) req.write(chunk);
		if (abort) setImmediate(() => req.destroy());
		else if (!unfinished) req.end();
		else req.flushHeaders();
	});
}

test("rejects a flat body with too many fields", async () => {
	const items = Array.from({ length: 2001 }, () => 1);
	const { status, body } = await shop.http("POST /api/products", {
		token: token(shop.env, "admin"),
		body: { items },
	});
	expect([status, body.errors[0].code]).toEqual([422, "FIELDS"]);
});
