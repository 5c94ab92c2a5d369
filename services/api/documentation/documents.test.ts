import { get, type IncomingMessage } from "node:http";
import { buffer } from "node:stream/consumers";
import { brotliDecompressSync, gunzipSync } from "node:zlib";
import { afterAll, beforeAll, describe, expect, jest, test } from "@jest/globals";
import { stubbedServices } from "../../../test/support/gateway.ts";
import { type Shop, startShop } from "../../../test/support/shop.ts";
import { document, loadOnce, perRevision } from "./documents.ts";

let shop: Shop;
beforeAll(async () => {
	shop = await startShop({
		services: ["api"],
		stubs: stubbedServices(),
		env: { CORS_ORIGINS: "https://shop.example" },
	});
});
afterAll(() => shop?.stop());

/** The response as it was sent: fetch would decompress it. */
async function load(
	path: string,
	headers: Record<string, string> = {},
	method = "GET",
): Promise<{ res: IncomingMessage; body: Buffer }> {
	const res = await new Promise<IncomingMessage>((resolve, reject) => {
		get(shop.url + path, { headers, method }, resolve).once("error", reject);
	});
	return { res, body: await buffer(res) };
}

describe.each([
	"/openapi.json",
	"/asyncapi.json",
	"/docs",
	"/docs/errors",
	"/docs/page.js",
	"/docs/swagger-ui-bundle.js",
	"/docs/swagger-ui.css",
])("%s", (path) => {
	test("is sent in the smallest encoding that the client accepts", async () => {
		const { res, body } = await load(path);
		expect([res.statusCode, res.headers["content-encoding"], res.headers.vary]).toEqual([
			200,
			undefined,
			"Accept-Encoding, Origin",
		]);
		const decoders = { br: brotliDecompressSync, gzip: gunzipSync };
		for (const [accepted, encoding] of [
			["gzip, deflate, br", "br"],
			["gzip", "gzip"],
			["br;q=0, gzip;q=0.5", "gzip"],
			["deflate", undefined],
		] as [string, "br" | "gzip" | undefined][]) {
			const encoded = await load(path, { "accept-encoding": accepted });
			expect(encoded.res.headers["content-length"]).toBe(String(encoded.body.length));
			if (body.length < 1000 || !encoding) {
				expect([encoded.res.headers["content-encoding"], encoded.body]).toEqual([undefined, body]);
			} else {
				expect(encoded.res.headers["content-encoding"]).toBe(encoding);
				expect(decoders[encoding](encoded.body).equals(body)).toBe(true);
				expect(encoded.body.length).toBeLessThan(body.length / 2);
			}
		}
	});

	test("is not sent again to a client that has it, in whichever encoding", async () => {
		const { etag = "" } = (await load(path)).res.headers;
		expect(etag).toMatch(/^W\/"[\w-]{27}"$/);
		for (const encoding of ["identity", "br", "gzip"]) {
			const { res, body } = await load(path, {
				"accept-encoding": encoding,
				"if-none-match": etag,
			});
			expect([res.statusCode, body.length, res.headers.etag, res.headers["content-type"]]).toEqual([
				304,
				0,
				etag,
				undefined,
			]);
		}
		expect((await load(path, { "if-none-match": '"other"' })).res.statusCode).toBe(200);
		const head = await load(path, {}, "HEAD");
		expect([head.res.statusCode, head.body.length, head.res.headers.etag]).toEqual([200, 0, etag]);
	});
});

test("the documents about the cluster are built once until its routes change", async () => {
	const paths = ["/openapi.json", "/asyncapi.json", "/docs/errors"];
	for (const path of paths) await load(path);
	const { table } = shop.broker.getLocalService("api") as unknown as {
		table: { revision: number; list(): object[] };
	};
	const services = jest.spyOn(shop.broker.registry, "getServiceList");
	const routes = jest.spyOn(table, "list");
	for (const path of paths) await load(path);
	expect([services.mock.calls.length, routes.mock.calls.length]).toEqual([0, 0]);
	table.revision++;
	for (const path of paths) await load(path);
	expect([services.mock.calls.length, routes.mock.calls.length]).toEqual([3, 1]);
	jest.restoreAllMocks();
});

test("each encoding of a document is computed once, also when requests overlap", async () => {
	const made = document("x".repeat(5000));
	const [one, two] = await Promise.all([made.encoded("br"), made.encoded("br")]);
	expect(one).toBe(two);
	expect(await made.encoded("br")).toBe(one);
});

test("a document keeps its compressed forms while its content stays the same", () => {
	const text = { content: "one" };
	const of = perRevision((_: { revision: number }) => document(text.content));
	const first = of({ revision: 1 });
	expect(of({ revision: 2 })).toBe(first);
	text.content = "two";
	expect(of({ revision: 2 })).toBe(first);
	expect(of({ revision: 3 }).content).toBe("two");
});

test("a document that could not be loaded is loaded at the next request", async () => {
	let failing = true;
	const load = loadOnce(async () => {
		if (failing) throw new Error("no such file");
		return document("x");
	});
	await expect(load()).rejects.toThrow("no such file");
	failing = false;
	expect(await load()).toBe(await load());
});
