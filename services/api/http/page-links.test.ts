import { afterAll, beforeAll, expect, test } from "@jest/globals";
import { authStub, inventoryStub, token } from "../../../test/support/gateway.ts";
import { type Shop, startShop } from "../../../test/support/shop.ts";

const COUNT = 6;
let shop: Shop;
beforeAll(async () => {
	shop = await startShop({
		services: ["api", "products"],
		stubs: [authStub(), inventoryStub()],
	});
	for (let i = 0; i < COUNT; i++) {
		const body = { name: `Product ${i}`, price: i, category: "links" };
		expect(
			(await shop.http("POST /api/products", { token: token(shop.env, "admin"), body })).status,
		).toBe(201);
	}
});
afterAll(() => shop?.stop());

/** The pages from this one on, by following rel="next". */
async function walk(path: string): Promise<{ names: string[]; links: string[] }[]> {
	const pages = [];
	for (let next: string | undefined = path; next && pages.length < 2 * COUNT; ) {
		const { status, headers, body } = await shop.http(`GET ${next}`);
		expect([next, status]).toEqual([next, 200]);
		const link = headers.get("link") ?? "";
		pages.push({
			names: body.map(({ name }: { name: string }) => name),
			links: link.split(", ").filter(Boolean),
		});
		next = /<([^>]+)>; rel="next"/.exec(link)?.[1];
	}
	return pages;
}
const all = Array.from({ length: COUNT }, (_, i) => `Product ${i}`);

test.each([1, 2, 3, 4, 6])(
	"the links lead to every product once, %i at a time, from the start and from behind a product",
	async (limit) => {
		const list = `/api/products?category=links&sort=name&limit=${limit}`;
		const pages = await walk(list);
		expect(pages.flatMap(({ names }) => names)).toEqual(all);
		expect(pages).toHaveLength(Math.ceil(COUNT / limit));
		const [first] = (await shop.http(`GET ${list}`)).body;
		const behind = await walk(`${list}&after=${first.id}`);
		expect(behind.flatMap(({ names }) => names)).toEqual(all.slice(1));
		expect(behind).toHaveLength(Math.ceil((COUNT - 1) / limit));
	},
);

test("counts the elements of a list without pages", async () => {
	const { body, headers } = await shop.http("GET /api/categories");
	expect([body.length, headers.get("x-total-count"), headers.get("link")]).toEqual([1, "1", null]);
	const { headers: ofProduct } = await shop.http("HEAD /api/products/facets?category=links");
	expect(ofProduct.has("x-total-count")).toBe(false);
});

test("sends no next link with a full last keyset page", async () => {
	const { body } = await shop.http("GET /api/products?category=links&sort=name");
	const page = await walk(
		`/api/products?category=links&sort=name&limit=2&after=${body[COUNT - 3].id}`,
	);
	expect(page).toEqual([{ names: all.slice(-2), links: [] }]);
});
