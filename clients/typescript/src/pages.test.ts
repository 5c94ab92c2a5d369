import { afterEach, describe, expect, test } from "@jest/globals";
import { sendJson, startServer, type TestServer } from "../test/server.ts";
import { createClient } from "./index.ts";

let server: TestServer;
afterEach(() => server?.stop());

/** Starts a shop with lists of five rows. */
async function startLists() {
	const all = Array.from({ length: 5 }, (_, i) => ({ id: `p${i}` }));
	server = await startServer(({ path }, response) => {
		const { pathname, searchParams } = new URL(path, "http://shop");
		const [skip, limit] = [
			Number(searchParams.get("skip") ?? 0),
			Number(searchParams.get("limit") ?? 2),
		];
		const after = searchParams.get("after");
		const start = after ? all.findIndex(({ id }) => id === after) + 1 : skip;
		const rows = all.slice(start, start + limit);
		const prev = `<${pathname}?skip=0>; rel="prev"`;
		const next = `<${pathname}?skip=${skip + limit}&limit=${limit}>; rel="next"`;
		sendJson(response, 200, rows, {
			"x-total-count": "5",
			"x-search-corrected": encodeURI("Tée kräftig"),
			link: start + limit < all.length ? `${prev}, ${next}` : prev,
		});
	});
	return createClient({ url: server.url });
}
const paths = () => server.requests.map(({ path }) => path);
const idsOf = async (list: AsyncIterable<{ id: string }>): Promise<string[]> => {
	const ids: string[] = [];
	for await (const { id } of list) ids.push(id);
	return ids;
};
const ids = ["p0", "p1", "p2", "p3", "p4"];

describe("a list", () => {
	test("that is awaited loads its first page", async () => {
		const shop = await startLists();
		const rows = await shop.products.list({ q: "Tee" });
		expect(rows).toEqual([{ id: "p0" }, { id: "p1" }]);
		expect([rows.total, rows.corrected]).toEqual([5, "Tée kräftig"]);
		expect(paths()).toEqual(["/api/products?q=Tee"]);
		const { status, value } = await shop.products.list({ skip: 4 }).withResponse();
		expect([status, value[0]]).toEqual([200, { id: "p4" }]);
	});

	test("that is not used loads nothing", async () => {
		const shop = await startLists();
		shop.products.list();
		await shop.products.list();
		expect(paths()).toHaveLength(1);
	});

	test("with the parameter `after` continues after its last row", async () => {
		const shop = await startLists();
		expect(await idsOf(shop.products.list({ q: "Tee", limit: 2 }))).toEqual(ids);
		expect(paths()).toEqual([
			"/api/products?q=Tee&limit=2",
			"/api/products?q=Tee&limit=2&after=p1",
			"/api/products?q=Tee&limit=2&after=p3",
		]);
	});

	test("without that parameter skips the rows of earlier pages", async () => {
		const shop = await startLists();
		expect(await idsOf(shop.orders.list({ status: "confirmed", limit: 3 }))).toEqual(ids);
		expect(paths()).toEqual([
			"/api/orders?status=confirmed&limit=3",
			"/api/orders?status=confirmed&limit=3&skip=3",
		]);
	});

	test("can be read page by page, and no further than necessary", async () => {
		const shop = await startLists();
		for await (const rows of shop.products.list().pages()) {
			expect(rows.total).toBe(5);
			break;
		}
		expect(paths()).toHaveLength(1);
	});
});
