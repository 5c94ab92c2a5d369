import { connect } from "node:net";
import { afterAll, beforeAll, expect, test } from "@jest/globals";
import { stubbedServices } from "../../../test/support/gateway.ts";
import { type Shop, startShop } from "../../../test/support/shop.ts";

let shop: Shop;
beforeAll(async () => {
	shop = await startShop({ services: ["api"], stubs: stubbedServices() });
});
afterAll(() => shop?.stop());

/** Sends lines as they are, which fetch would not, and returns the status and the body. */
function raw(...lines: string[]): Promise<{ status: number; head: string; body: string }> {
	const { hostname, port } = new URL(shop.url);
	return new Promise((resolve, reject) => {
		const socket = connect(Number(port), hostname);
		let text = "";
		socket.on("data", (chunk) => {
			text += chunk;
		});
		socket.once("error", reject);
		socket.once("end", () => {
			const [head, body] = text.split(/\r\n\r\n(.*)/s) as [string, string];
			resolve({ status: Number(/^HTTP\/1\.1 (\d+)/.exec(head)?.[1]), head, body });
		});
		socket.write(`${[...lines, "Connection: close"].join("\r\n")}\r\n\r\n`);
	});
}

test.each([
	["GET http://shop.example/health/live HTTP/1.1", '{"status":"alive"}'],
	["GET HTTPS://other.example:8443/health/live/?x=1 HTTP/1.1", '{"status":"alive"}'],
	["GET http://[::1]:3000/health/live HTTP/1.1", '{"status":"alive"}'],
	["GET http://shop.example HTTP/1.1", '"docs":"/docs"'],
	["GET http://shop.example?x=1 HTTP/1.1", '"docs":"/docs"'],
])("an absolute-form target is reduced to its path: %s", async (line, expected) => {
	const { status, body } = await raw(line, "Host: shop.example");
	expect([status, body]).toEqual([200, expect.stringContaining(expected)]);
});

test("an absolute-form target keeps its query, and links are relative to the gateway", async () => {
	const { status, head, body } = await raw(
		"GET http://shop.example/api/products?limit=2 HTTP/1.1",
		"Host: shop.example",
	);
	expect([status, JSON.parse(body)]).toEqual([200, [expect.anything(), expect.anything()]]);
	expect(head).toContain('Link: </api/products?limit=2&skip=2>; rel="next"');
});

test.each([
	["two Host headers", ["Host: shop.example", "Host: other.example"]],
	["two equal Host headers", ["Host: shop.example", "host: shop.example"]],
	["a path in Host", ["Host: shop.example/path"]],
	["user information in Host", ["Host: user@shop.example"]],
	["a space in Host", ["Host: shop example"]],
	["a port that is no number", ["Host: shop.example:http"]],
])("%s is rejected", async (_what, headers) => {
	const { status, head, body } = await raw("GET /health/live HTTP/1.1", ...headers);
	expect(status).toBe(400);
	expect(head).toContain("Content-Type: application/problem+json");
	expect(JSON.parse(body)).toMatchObject({ code: "BAD_HEADER", status: 400 });
});

test("a target with user information is rejected", async () => {
	expect(
		(await raw("GET http://user@shop.example/health/live HTTP/1.1", "Host: shop.example")).status,
	).toBe(400);
});

test.each([
	"shop.example",
	"shop.example:80",
	"127.0.0.1:3000",
	"[::1]:3000",
	"[::1]",
	"localhost",
	"",
])("Host: %p is accepted", async (host) => {
	expect((await raw("GET /health/live HTTP/1.1", `Host: ${host}`)).status).toBe(200);
});
