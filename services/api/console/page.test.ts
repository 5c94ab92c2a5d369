import { readdirSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { expect, test } from "@jest/globals";
import { stubbedServices } from "../../../test/support/gateway.ts";
import type { Request } from "../http/exchange.ts";
import { gateways } from "../test/gateways.ts";
import { dist, page } from "./page.ts";

const { start } = gateways();
const open = () => start({ stubs: stubbedServices() });
const assets = readdirSync(join(dist, "assets")).filter((file) => /\.(js|css)$/.test(file));
/** Limit of the first load in bytes, compressed. */
const FIRST_LOAD = 200_000;

test("every path of the console has one page, which allows only its own scripts", async () => {
	const shop = await open();
	const paths = ["", "/", "/orders", "/orders/1", "/orders/1/refunds?x=1"];
	const pages = await Promise.all(paths.map((path) => shop.http(`GET /console${path}`)));
	const [{ headers, body } = { headers: new Headers(), body: "" }] = pages;
	expect(pages.map((one) => [one.status, one.body])).toEqual(paths.map(() => [200, body]));
	expect(body).not.toMatch(/<style|<script(?![^>]*src=)| style=|https?:/);
	const policy = headers.get("content-security-policy")!;
	expect(policy).toContain("default-src 'none';script-src 'self';style-src 'self'");
	expect(policy).not.toContain("unsafe");
	expect([headers.get("content-type"), headers.get("cache-control")]).toEqual([
		"text/html; charset=utf-8",
		"no-cache",
	]);
	const etag = headers.get("etag")!;
	const unchanged = await shop.http("GET /console", { headers: { "if-none-match": etag } });
	expect(unchanged.status).toBe(304);
	expect((await shop.http("GET /console/a/b/c/d")).status).toBe(404);
	expect((await shop.http("PUT /console/orders")).status).toBe(405);
});

test("the page refers to compressed files that never change, below 200 kB together", async () => {
	const shop = await open();
	const { body } = await shop.http("GET /console");
	const urls = [...body.matchAll(/"(\/console\/assets\/[^"]+)"/g)].map(([, url]) => url);
	expect(urls.map((url) => url.split("/").at(-1)).sort()).toEqual([...assets].sort());
	let size = gzipSync(body).length;
	for (const url of urls) {
		const response = await fetch(shop.url + url, { headers: { "accept-encoding": "gzip" } });
		const { headers } = response;
		expect([response.status, headers.get("cache-control"), headers.get("vary")]).toEqual([
			200,
			"public, max-age=31536000, immutable",
			"Accept-Encoding, Origin",
		]);
		expect(headers.get("content-type")).toMatch(/^text\/(javascript|css); charset=utf-8$/);
		size += Number(headers.get("content-length"));
		const decoded = await response.text();
		for (const encoding of ["br", "identity"]) {
			const other = await fetch(shop.url + url, { headers: { "accept-encoding": encoding } });
			expect(other.headers.get("content-encoding") ?? "identity").toBe(encoding);
			expect(await other.text()).toBe(decoded);
		}
	}
	expect(size).toBeLessThan(FIRST_LOAD);
});

test("serves no other file", async () => {
	const shop = await open();
	for (const file of [
		"none.js",
		"..%2findex.html",
		"index.html",
		`${assets[0]}.gz`,
		".js",
		"%00.js",
	])
		expect((await shop.http(`GET /console/assets/${file}`)).status).toBe(404);
});

test("names the next step if the console is not built", async () => {
	const { status, headers, body } = await page({ headers: {} } as Request, "/nowhere");
	expect([status, headers?.["Retry-After"]]).toEqual([503, "5"]);
	expect(body).toContain("<code>npm run console</code>");
});
