import { afterAll, beforeAll, beforeEach, expect, test } from "@jest/globals";
import { v7 as uuid } from "uuid";
import type { HasDatabase } from "../../mixins/database.mixin.ts";
import { countStatements as countStatementsOf } from "../../test/support/count-statements.ts";
import { stubbedServices, token } from "../../test/support/gateway.ts";
import { callWhileLocked } from "../../test/support/lock-waits.ts";
import { summarizeProblem } from "../../test/support/problems.ts";
import { type Shop, startShop } from "../../test/support/shop.ts";
import "./tax.contract.ts";

let shop: Shop;
let admin: string;
beforeAll(async () => {
	shop = await startShop({ services: ["api", "tax"], stubs: stubbedServices() });
	admin = token(shop.env, "admin");
});
beforeEach(() => put([]));
afterAll(() => shop?.stop());

const vat = { country: "DE", region: null, category: null, name: "VAT", rate: 0.19 };
const books = { ...vat, category: "Books", name: "Reduced VAT", rate: 0.07 };
const put = (rates: unknown, headers: Record<string, string> = {}) =>
	shop.http("PUT /api/tax/rates", { token: admin, body: rates, headers });
const get = () => shop.http("GET /api/tax/rates", { token: admin });
const line = (category: string | null) => ({ product_id: uuid(), category, amount: 10 });
const cart = (over: object = {}) => ({
	currency: "EUR",
	country: null,
	region: null,
	lines: [line("Books/Novels"), line(null)],
	shipping: 5,
	...over,
});
const calculate = (...carts: ReturnType<typeof cart>[]) => shop.call("tax.calculate", { carts });
const nameOf = async (over: object = {}) => (await calculate(cart(over)))[0]!.lines[1]?.name;

const countStatements = (work: () => Promise<unknown>) => countStatementsOf(shop, "tax", work);

test("replaces the whole table and returns it in the given order", async () => {
	expect(await get()).toMatchObject({ status: 200, body: [] });
	const rates = [books, { ...vat, country: "AT", rate: 0.2 }, vat];
	expect(await put(rates)).toMatchObject({ status: 200, body: rates });
	expect((await get()).body).toEqual(rates);
	const { region: _, category: __, ...short } = vat;
	expect((await put([{ ...short, name: " VAT " }])).body).toEqual([vat]);
	expect((await get()).body).toEqual([vat]);
});

test("rejects an invalid table as a whole", async () => {
	await put([vat]);
	expect(summarizeProblem(await put([books, { ...vat, country: "XX" }]))).toEqual([
		422,
		"VALIDATION_ERROR",
		[["[1].country", "COUNTRY"]],
	]);
	expect(summarizeProblem(await put([{ ...vat, rate: 1.5, name: "" }]))).toEqual([
		422,
		"VALIDATION_ERROR",
		[
			["[0].name", "STRING_MIN"],
			["[0].rate", "NUMBER_MAX"],
		],
	]);
	expect(await put([books, vat, { ...books, category: "BOOKS" }])).toMatchObject({
		status: 409,
		body: { code: "DUPLICATE_RATE", country: "DE", category: "BOOKS", positions: [0, 2] },
	});
	expect((await get()).body).toEqual([vat]);
});

test("accepts a table of 2000 rates", async () => {
	const regions = Array.from({ length: 2000 }, (_, i) => ({
		country: "US",
		region: `Region ${i}`,
		name: "Sales tax",
		rate: 0.0725,
	}));
	expect((await put(regions)).body).toHaveLength(2000);
	expect((await put([...regions, vat])).status).toBe(422);
	expect(await nameOf({ country: "US", region: "region 1999" })).toBe("Sales tax");
});

test("only administrators read and replace the table", async () => {
	const user = token(shop.env);
	expect((await shop.http("GET /api/tax/rates")).status).toBe(401);
	expect((await shop.http("GET /api/tax/rates", { token: user })).status).toBe(403);
	expect((await shop.http("PUT /api/tax/rates", { token: user, body: [] })).status).toBe(403);
});

test("does not replace a table that has changed since it was read", async () => {
	const etag = (await put([vat])).headers.get("etag")!;
	expect((await get()).headers.get("etag")).toBe(etag);
	const changed = await put([vat, books], { "if-match": etag });
	expect(changed.status).toBe(200);
	expect((await put([], { "if-match": etag })).status).toBe(412);
	expect((await get()).body).toEqual([vat, books]);
	expect((await put([], { "if-match": changed.headers.get("etag")! })).status).toBe(200);
});

test("concurrent replacements leave one of the tables", async () => {
	const tables = [[vat], [books], [vat, books], [{ ...vat, country: "FR" }]];
	await Promise.all(tables.map((one) => put(one)));
	expect(tables).toContainEqual((await get()).body);
});

test("calculates the rates of each cart, by default those of the shop's country", async () => {
	await put([vat, books, { ...vat, country: "AT", name: "USt", rate: 0.2 }]);
	const germany = {
		prices_include_tax: true,
		lines: [
			{ name: "Reduced VAT", rate: 0.07 },
			{ name: "VAT", rate: 0.19 },
		],
		shipping: { name: "VAT", rate: 0.19 },
	};
	const austria = { name: "USt", rate: 0.2 };
	expect(
		await calculate(
			cart(),
			cart({ country: "AT" }),
			cart({ country: "FR" }),
			cart({ country: "DE" }),
		),
	).toEqual([
		germany,
		{ ...germany, lines: [austria, austria], shipping: austria },
		{ ...germany, lines: [null, null], shipping: null },
		germany,
	]);
});

test("reports whether the table has rates", async () => {
	const status = () => shop.call("tax.status");
	expect(await status()).toEqual({ enabled: false, prices_include_tax: true });
	await put([vat]);
	expect(await status()).toEqual({ enabled: true, prices_include_tax: true });
	await put([]);
	expect(await status()).toEqual({ enabled: false, prices_include_tax: true });
});

test("executes no statement while the table does not change", async () => {
	await put([vat]);
	const both = () => Promise.all([nameOf(), shop.call("tax.status")]);
	await both();
	expect(await countStatements(both)).toBe(0);
	expect(await countStatements(() => nameOf({ country: "AT" }))).toBe(1);
	expect(await countStatements(() => nameOf({ country: "AT" }))).toBe(0);
	await put([{ ...vat, name: "new" }]);
	expect(await countStatements(both)).toBe(2);
	expect(await nameOf()).toBe("new");
});

test("calculates with the last committed table while it is being replaced", async () => {
	await put([vat]);
	const { db } = shop.broker.getLocalService("tax") as unknown as HasDatabase;
	const replaced = await callWhileLocked(
		db,
		(tx) => tx.query("lock table tax_rates in share row exclusive mode"),
		() => put([{ ...vat, name: "new" }]),
		async () => expect(await nameOf()).toBe("VAT"),
	);
	expect(replaced.status).toBe(200);
	expect(await nameOf()).toBe("new");
});

test("adds tax to prices, and starts with a known country only", async () => {
	const env = { PRICES_INCLUDE_TAX: "false", SHOP_COUNTRY: "AT" };
	const other = await startShop({ services: ["tax"], env });
	expect(await other.call("tax.status")).toEqual({ enabled: false, prices_include_tax: false });
	const rates = [{ ...vat, country: "AT", name: "USt" }];
	const user = { id: uuid(), email: "admin@example.com", role: "admin" as const };
	await other.call("tax.setRates", { rates }, { meta: { user } });
	expect(await other.call("tax.calculate", { carts: [cart()] })).toMatchObject([
		{ prices_include_tax: false, shipping: { name: "USt" } },
	]);
	await other.stop();
	await expect(startShop({ services: ["tax"], env: { SHOP_COUNTRY: "XX" } })).rejects.toThrow(
		"SHOP_COUNTRY is XX",
	);
});
