import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import { admin, type Shop, startShop } from "../../test/support/shop.ts";
import "./users.contract.ts";

let shop: Shop;
const ids = new Map<string, string>();
beforeAll(async () => {
	shop = await startShop({ services: ["users"] });
	for (const [email, full_name, role] of [
		["bruce.li@example.com", "Bruce Li", "user"],
		["anna@example.com", "Anna Olivier", "admin"],
		["l_100%@example.org", "Zoë O'Brien", "user"],
		["olga@shop.test", "Olga Lind", "user"],
	] as const) {
		const account = { email, full_name, role, password: "correct horse", is_verified: true };
		ids.set(email.slice(0, email.indexOf("@")), (await shop.call("users.seed", account)).id);
	}
	await shop.call("users.remove", { id: ids.get("olga")! }, { meta: { user: admin! } });
});
afterAll(() => shop?.stop());

type Params = { q?: string; role?: "user" | "admin"; is_active?: boolean; limit?: number };
const list = (params: Params) => shop.call("users.list", params, { meta: { user: admin! } });
const names = async (params: Params) =>
	(await list(params)).rows.map(({ email }) => email.slice(0, email.indexOf("@")));

describe("a search for users", () => {
	test.each([
		["a part of the address", "example.org", ["l_100%"]],
		["a part of the name in another case", "OLIV", ["anna"]],
		["a part of either", "olga", ["olga"]],
		["a name with accents", "zoë", ["l_100%"]],
		["a decomposed name", "zoe\u0308", ["l_100%"]],
		["text with a quote", "O'Br", ["l_100%"]],
		["a wildcard as it is", "l_1", ["l_100%"]],
		["a percent sign as it is", "00%@", ["l_100%"]],
		["a backslash", "\\", []],
		["two characters at the beginning of a word", "li", ["bruce.li", "olga"]],
		["two characters of an address", "an", ["anna"]],
		["nothing that exists", "nobody at all", []],
	])("finds %s", async (_case, q, expected) => {
		expect(await names({ q })).toEqual(expected);
	});

	test("counts all matches and returns a page", async () => {
		expect(await list({ q: "example", limit: 1 })).toMatchObject({
			rows: [{ id: ids.get("bruce.li") }],
			total: 3,
		});
	});
});

test("returns the IDs of matching users to other services", async () => {
	const search = (q: string, limit: number) => shop.call("users.search", { q, limit });
	expect(await search("example", 2)).toEqual([ids.get("bruce.li"), ids.get("anna")]);
	expect(await search("nobody at all", 2)).toEqual([]);
});

test("filters by role and activity", async () => {
	expect(await names({ role: "admin" })).toEqual(["anna"]);
	expect(await names({ is_active: false })).toEqual(["olga"]);
	expect(await names({ is_active: true, role: "user", q: "example" })).toEqual([
		"bruce.li",
		"l_100%",
	]);
	expect(await names({})).toHaveLength(4);
});
