import { afterAll, beforeAll, expect, test } from "@jest/globals";
import { type Shop, startShop } from "../../test/support/shop.ts";
import "./products.contract.ts";

const ALL = 10_050;

let shop: Shop;
beforeAll(async () => {
	shop = await startShop({ services: ["products", "api"] });
	// Postgres looks at this table when it is told to, and never by itself.
	await shop.databases.query("products", "alter table products set (autovacuum_enabled = false)");
	await shop.databases.query(
		"products",
		`insert into products (id, name, price, currency, category)
		select ('019a0000-0000-7000-8000-' || lpad(n::text, 12, '0'))::uuid, 'Screw ' || n, n / 100.0, 'EUR', 'Screws' from generate_series(1, ${ALL}) n`,
	);
	// Now it knows how many products there are, and of their words nothing.
	await shop.databases.query("products", "analyze products (id, price, deleted_at)");
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
/** Follows the links, from this page to the last. */
async function walk(query: string) {
	const pages = [];
	for (let next: string | undefined = query; next; next = pages.at(-1)!.next)
		pages.push(await page(next));
	return { pages, ids: pages.flatMap(({ ids }) => ids) };
}

test("ten thousand products are counted exactly, and their last page has none behind it", async () => {
	expect(await page("max_price=100&limit=1")).toMatchObject({ total: 10_000 });
	expect(await page("max_price=100&skip=9850")).toMatchObject({
		total: 10_000,
		next: expect.stringContaining("skip=9950"),
	});
	const last = await page("max_price=100&skip=9900");
	expect([last.ids.length, last.total, last.next]).toEqual([100, 10_000, undefined]);
	// One more is no more counted.
	expect((await page("max_price=100.01&limit=1")).total).toBeGreaterThan(10_000);
});

test("of more the total is an estimate, until the last page shows where they end", async () => {
	for (const skip of [0, 9900, 9950]) {
		const { total, next } = await page(`skip=${skip}`);
		expect(total).toBeGreaterThan(10_000);
		expect(next).toContain(`skip=${skip + 100}`);
	}
	const last = await page("skip=10000");
	expect([last.ids.length, last.total, last.next]).toEqual([50, ALL, undefined]);
	const behind = await page("skip=20000");
	expect([behind.ids, behind.next]).toEqual([[], undefined]);
});

test("links lead to every product, however wrong the estimate is", async () => {
	// Of words nothing is known, which makes it far too low.
	expect((await page("q=screw&limit=1")).total).toBe(10_001);
	const found = await walk("q=screw&skip=9900&limit=30");
	expect([found.ids.length, new Set(found.ids).size]).toEqual([150, 150]);
	expect(found.pages.map(({ total }) => total)).toEqual([
		10_001, 10_001, 10_001, 10_021, 10_051, 10_001,
	]);
	// Far too high, of what was taken out meanwhile.
	await shop.databases.query(
		"products",
		"update products set deleted_at = now() where price > 100.2",
	);
	const left = await walk("max_price=100.5&skip=9900&limit=30");
	expect(left.ids.length).toBe(120);
	expect(left.pages.at(-1)).toMatchObject({ ids: [], total: 10_020 });
	await shop.databases.query("products", "update products set deleted_at = null");
});

test("behind a product there is a next page as long as pages are full, and the total stays that of all", async () => {
	const id = (n: number) => `019a0000-0000-7000-8000-${String(n).padStart(12, "0")}`;
	const found = await walk(`after=${id(ALL - 70)}&limit=30`);
	expect(found.pages.map(({ ids }) => ids.length)).toEqual([30, 30, 10]);
	for (const { total } of found.pages) expect(total).toBeGreaterThan(10_000);
	const few = await walk(`category=Screws&max_price=0.5&after=${id(20)}&limit=20`);
	expect([few.pages.map(({ ids }) => ids.length), few.pages.map(({ total }) => total)]).toEqual([
		[20, 10],
		[50, 50],
	]);
});
