import { afterAll, beforeAll, expect, test } from "@jest/globals";
import { v7 as uuid } from "uuid";
import { authStub, inventoryStub, token } from "../../../test/support/gateway.ts";
import { userRecord } from "../../../test/support/records.ts";
import { type Shop, startShop, stub } from "../../../test/support/shop.ts";
import { users } from "../../users/users.contract.ts";

let shop: Shop;
let admin: string;
beforeAll(async () => {
	shop = await startShop({
		services: ["api", "products"],
		stubs: [
			stub(users, { update: async ({ params }) => userRecord({ id: params.id }) }),
			authStub(),
			inventoryStub(),
		],
	});
	admin = token(shop.env, "admin");
});
afterAll(() => shop?.stop());

async function make() {
	const { body } = await shop.http("POST /api/products", {
		token: admin,
		body: { name: "A book", price: 19.99, category: "books" },
	});
	const path = `/api/products/${body.id}`;
	const etag = async () => (await shop.http(`GET ${path}`)).headers.get("etag")!;
	const change = (price: number, ifMatch?: string) =>
		shop.http(`PATCH ${path}`, {
			token: admin,
			body: { price },
			headers: ifMatch ? { "if-match": ifMatch } : {},
		});
	const remove = (ifMatch?: string) =>
		shop.http(`DELETE ${path}`, { token: admin, headers: ifMatch ? { "if-match": ifMatch } : {} });
	return { path, etag, change, remove };
}

test("responds with 304 until the resource changes", async () => {
	const { path, etag, change } = await make();
	const tag = await etag();
	const again = (header: string) =>
		shop.http(`GET ${path}`, { headers: { "if-none-match": header } });
	for (const header of [tag, `W/${tag}`, `"other", ${tag}`, "*"]) {
		const { status, body, headers } = await again(header);
		expect([status, body, headers.get("etag")]).toEqual([304, "", tag]);
	}
	expect((await shop.http(`HEAD ${path}`, { headers: { "if-none-match": tag } })).status).toBe(304);
	for (const header of ['"other"', "nonsense", ""]) expect((await again(header)).status).toBe(200);
	const changed = await change(5);
	expect((await again(tag)).status).toBe(200);
	expect(changed.headers.get("etag")).toBe(await etag());
});

test("applies a change with If-Match only to that version", async () => {
	const { etag, change } = await make();
	const first = await etag();
	expect((await change(5, first)).status).toBe(200);
	const stale = await change(6, first);
	expect([stale.status, stale.body.code]).toEqual([412, "PRECONDITION_FAILED"]);
	expect((await change(6, `W/${await etag()}`)).status).toBe(412);
	expect((await change(6, `"other", ${await etag()}`)).body.price).toBe(6);
	expect((await change(7, "*")).body.price).toBe(7);
	expect((await change(8, "not a tag")).body).toMatchObject({ status: 400, code: "BAD_HEADER" });
});

test("applies one of several concurrent changes with the same If-Match", async () => {
	const { etag, change } = await make();
	const tag = await etag();
	const responses = await Promise.all(Array.from({ length: 8 }, (_, i) => change(100 + i, tag)));
	expect(responses.map(({ status }) => status).sort()).toEqual([200, ...Array(7).fill(412)]);
});

test("deletes only the version in If-Match", async () => {
	const { etag, change, remove } = await make();
	const first = await etag();
	await change(5);
	for (const stale of [first, `W/${await etag()}`]) {
		const { status, body } = await remove(stale);
		expect([status, body.code]).toEqual([412, "PRECONDITION_FAILED"]);
	}
	expect((await remove("not a tag")).body).toMatchObject({ status: 400, code: "BAD_HEADER" });
	expect((await remove(await etag())).status).toBe(204);
	for (const matching of [undefined, "*"])
		expect((await (await make()).remove(matching)).status).toBe(204);
});

test("rejects a change with If-Match to a resource without an ETag", async () => {
	const path = `/api/users/${uuid()}`;
	const change = (ifMatch: string) =>
		shop.http(`PATCH ${path}`, { token: admin, body: {}, headers: { "if-match": ifMatch } });
	expect((await change('"any"')).body).toMatchObject({ status: 412, code: "PRECONDITION_FAILED" });
	expect((await change("*")).status).toBe(200);
});
