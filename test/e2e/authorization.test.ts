import { afterAll, beforeAll, expect, test } from "@jest/globals";
import type { Routes } from "../../services/api/routing/routes.ts";
import { type Shop, startShop } from "../support/shop.ts";
import { table } from "./authorization.table.ts";

let shop: Shop;
beforeAll(async () => {
	shop = await startShop();
});
afterAll(() => shop?.stop());

test("the table of access rules has exactly one row for every route", () => {
	const { table: registered } = shop.broker.getLocalService("api") as unknown as { table: Routes };
	const routes = registered.list().map(({ method, path }) => `${method} ${path}`);
	expect(Object.keys(table).sort()).toEqual(routes.sort());
});
