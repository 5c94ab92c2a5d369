import { afterAll, beforeAll, expect, test } from "@jest/globals";
import { type Shop, startShop } from "../../test/support/shop.ts";
import "./products.contract.ts";

const COUNT = 10_050;

let shop: Shop;
beforeAll(async () => {
	shop = await startShop({ services: ["products", "api"] });
	// Only the test analyzes the table.
	await shop.databases.query("products", "alter table products set (autovacuum_enabled = false)");
	await shop.databases.query(
		"products",
		`insert into products (id, name, price, currency, category)
		select ('019a0000-0000-7000-8000-' || lpad(n::text, 12, '0'))::uuid,
			'Screw ' || n, n / 100.0, 'EUR', 'Screws'
		from generate_series(1, ${COUNT}) n`,
	);
	// Postgres now has an estimate of the number of products but no statistics on words.
	await shop.databases.query("products", "analyze products (id, price, deleted_at, parent_id)");
});
afterAll(() => shop?.stop());

async function page(query: string) {
	const { status, headers, body } = await shop.http(`GET /api/products?${query}`);
	expect(status).toBe(200);
	const next = /<[^>]*\?([^>]*)>; rel="next"/.exec(headers.get("link") ?? "")?.[1];
	return {
		ids: (body as { id: string }[]).map(({ id }) => id),
		total: Number(headers.get("x-total-count")),
		next,
	};
}
/** Follows the links from this page to the last one. */
async function walk(query: string) {
	const pages = [];
	for (let next: string | undefined = query; next; next = pages.at(-1)!.next)
		pages.push(await page(next));
	return { pages, ids: pages.flatMap(({ ids }) => ids) };
}

test("counts ten thousand products exactly, and their last page has no next link", async () => {
	expect(await page("max_price=100&limit=1")).toMatchObject({ total: 10_000 });
	expect(await page("max_price=100&skip=9850")).toMatchObject({
		total: 10_000,
		next: expect.stringContaining("skip=9950"),
	});
	const last = await page("max_price=100&skip=9900");
	expect([last.ids.length, last.total, last.next]).toEqual([100, 10_000, undefined]);
	// From one more product on, the total is an estimate.
	expect((await page("max_price=100.01&limit=1")).total).toBeGreaterThan(10_000);
});

test("estimates a larger total until the last page shows the end of the list", async () => {
	for (const skip of [0, 9900, 9950]) {
		const { total, next } = await page(`skip=${skip}`);
		expect(total).toBeGreaterThan(10_000);
		expect(next).toContain(`skip=${skip + 100}`);
	}
	const last = await page("skip=10000");
	expect([last.ids.length, last.total, last.next]).toEqual([50, COUNT, undefined]);
	const beyond = await page("skip=20000");
	expect([beyond.ids, beyond.next]).toEqual([[], undefined]);
});

test("links lead to every product even if the estimate is wrong", async () => {
	// Without statistics on words the estimate is far too low.
	expect((await page("q=screw&limit=1")).total).toBe(10_001);
	const found = await walk("q=screw&skip=9900&limit=30");
	expect([found.ids.length, new Set(found.ids).size]).toEqual([150, 150]);
	expect(found.pages.map(({ total }) => total)).toEqual([
		10_001, 10_001, 10_001, 10_021, 10_051, 10_001,
	]);
	// After the removal of products the estimate is far too high.
	await shop.databases.query(
		"products",
		"update products set deleted_at = now() where price > 100.2",
	);
	const left = await walk("max_price=100.5&skip=9900&limit=30");
	expect(left.ids.length).toBe(120);
	expect(left.pages.at(-1)).toMatchObject({ ids: [], total: 10_020 });
	await shop.databases.query("products", "update products set deleted_at = null");
});

test("a full page after a product has a next link and the total of the whole list", async () => {
	const id = (n: number) => `019a0000-0000-7000-8000-${String(n).padStart(12, "0")}`;
	const found = await walk(`after=${id(COUNT - 70)}&limit=30`);
	expect(found.pages.map(({ ids }) => ids.length)).toEqual([30, 30, 10]);
	for (const { total } of found.pages) expect(total).toBeGreaterThan(10_000);
	const few = await walk(`category=Screws&max_price=0.5&after=${id(20)}&limit=20`);
	expect([few.pages.map(({ ids }) => ids.length), few.pages.map(({ total }) => total)]).toEqual([
		[20, 10],
		[50, 50],
	]);
});
