import { afterAll, beforeAll, beforeEach, expect, test } from "@jest/globals";
import { countStatements as countStatementsOf } from "../../test/support/count-statements.ts";
import { stubbedServices, token } from "../../test/support/gateway.ts";
import { summarizeProblem } from "../../test/support/problems.ts";
import { type Shop, startShop } from "../../test/support/shop.ts";
import { MAX_METHODS } from "./shipping.methods.ts";
import "./shipping.contract.ts";

let shop: Shop;
let admin: string;
beforeAll(async () => {
	shop = await startShop({ services: ["api", "shipping"], stubs: stubbedServices() });
	admin = token(shop.env, "admin");
});
beforeEach(async () => {
	for (const { code } of await list()) await remove(code);
});
afterAll(() => shop?.stop());

const standard = { code: "standard", name: "Standard", price: 4.9 };
const stored = {
	...standard,
	countries: ["*"],
	currency: "EUR",
	free_from: null,
	tiers: [],
	position: 0,
};
const send = (request: string, body?: object, as = admin) =>
	shop.http(request, { token: as, ...(body ? { body } : {}) });
const create = (body: object = {}) => send("POST /api/shipping/methods", { ...standard, ...body });
const update = (code: string, body: object) => send(`PATCH /api/shipping/methods/${code}`, body);
const remove = (code: string) => send(`DELETE /api/shipping/methods/${code}`);
const list = async () => (await shop.http("GET /api/shipping/methods")).body as { code: string }[];
const cart = { currency: "EUR", country: null, subtotal: 20, weight: 300 };
const quote = async (over: object = {}) =>
	(await shop.call("shipping.quote", { carts: [{ ...cart, ...over }] }))[0];

const countStatements = (work: () => Promise<unknown>) => countStatementsOf(shop, "shipping", work);

test("creates, lists, changes and deletes methods", async () => {
	expect(await create()).toMatchObject({ status: 201, body: stored });
	const express = {
		code: "express",
		name: "Express",
		countries: ["DE", "AT"],
		currency: "EUR",
		price: 12.5,
		free_from: 200,
		tiers: [
			{ up_to_weight: 2000, price: 9.99 },
			{ up_to_subtotal: 100, up_to_weight: 9000, price: 11 },
		],
		position: 1,
	};
	expect((await create(express)).body).toEqual(express);
	expect(await list()).toEqual([stored, express]);

	expect((await update("standard", { position: 2, free_from: 50 })).body).toEqual({
		...stored,
		position: 2,
		free_from: 50,
	});
	expect((await list()).map(({ code }) => code)).toEqual(["express", "standard"]);
	expect((await update("express", { free_from: null, tiers: [] })).body).toEqual({
		...express,
		free_from: null,
		tiers: [],
	});
	expect((await remove("express")).status).toBe(204);
	expect((await list()).map(({ code }) => code)).toEqual(["standard"]);
});

test("lists a country once", async () => {
	expect((await create({ countries: ["AT", "DE", "AT"] })).body.countries).toEqual(["AT", "DE"]);
});

test("rejects invalid methods and changes, and changes nothing", async () => {
	expect(summarizeProblem(await create({ code: "Fast!", tiers: [{ price: 1 }] }))).toEqual([
		422,
		"VALIDATION_ERROR",
		[["code", "STRING_PATTERN"]],
	]);
	expect(summarizeProblem(await create({ tiers: [{ price: 1 }] }))).toEqual([
		422,
		"VALIDATION_ERROR",
		[["tiers[0]", "LIMIT"]],
	]);
	await create();
	expect(summarizeProblem(await create())).toEqual([409, "METHOD_EXISTS", undefined]);
	// The changed currency has no decimals, but the price has two.
	expect(summarizeProblem(await update("standard", { currency: "JPY" }))).toEqual([
		422,
		"VALIDATION_ERROR",
		[["price", "MONEY"]],
	]);
	expect(summarizeProblem(await update("standard", {}))).toEqual([
		422,
		"VALIDATION_ERROR",
		[["", "EMPTY"]],
	]);
	for (const response of [await update("unknown", { price: 1 }), await remove("unknown")])
		expect(summarizeProblem(response)).toEqual([404, "METHOD_NOT_FOUND", undefined]);
	expect(await list()).toEqual([stored]);
});

test("limits the number of methods", async () => {
	const codes = Array.from({ length: MAX_METHODS }, (_, i) => `method-${i}`);
	for (const code of codes) expect((await create({ code })).status).toBe(201);
	expect(summarizeProblem(await create({ code: "one-more" }))).toEqual([
		409,
		"TOO_MANY_METHODS",
		undefined,
	]);
	expect(await list()).toHaveLength(MAX_METHODS);
});

test("everyone lists the methods; only administrators change them", async () => {
	await create();
	const user = token(shop.env);
	expect((await send("POST /api/shipping/methods", standard, user)).status).toBe(403);
	expect((await send("PATCH /api/shipping/methods/standard", { price: 1 }, user)).status).toBe(403);
	expect((await send("DELETE /api/shipping/methods/standard", undefined, user)).status).toBe(403);
	expect(await list()).toEqual([stored]);
});

test("reports whether methods exist", async () => {
	expect(await shop.call("shipping.status")).toEqual({ enabled: false });
	await create();
	expect(await shop.call("shipping.status")).toEqual({ enabled: true });
	await remove("standard");
	expect(await shop.call("shipping.status")).toEqual({ enabled: false });
});

test("quotes carts with the methods that deliver them", async () => {
	await create({ free_from: 50, tiers: [{ up_to_weight: 250, price: 2 }], position: 1 });
	await create({ code: "germany", name: "Germany", countries: ["DE"], price: 3 });
	const germany = { code: "germany", name: "Germany", price: 3 };
	expect(
		await shop.call("shipping.quote", {
			carts: [
				cart,
				{ ...cart, country: "FR" },
				{ ...cart, country: "FR", weight: 250 },
				{ ...cart, country: "FR", subtotal: 50 },
				{ ...cart, currency: "USD" },
			],
		}),
	).toEqual([
		[germany, standard],
		[standard],
		[{ ...standard, price: 2 }],
		[{ ...standard, price: 0 }],
		[],
	]);
});

test("executes no statement while the methods do not change, also if there are none", async () => {
	const both = () => Promise.all([quote(), shop.call("shipping.status")]);
	await both();
	expect(await countStatements(both)).toBe(0);
	await create();
	expect(await quote()).toEqual([standard]);
	expect(await countStatements(both)).toBe(0);
	await update("standard", { price: 1 });
	expect(await quote()).toEqual([{ ...standard, price: 1 }]);
	await remove("standard");
	expect(await quote()).toEqual([]);
});
