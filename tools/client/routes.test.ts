import { readFileSync } from "node:fs";
import { expect, test } from "@jest/globals";
import { routes } from "../../clients/typescript/src/routes.ts";
import { readContracts } from "../documents/openapi.ts";
import { client } from "./build.ts";
import { isOfClient, path, tableOf } from "./routes.ts";

const contracts = await readContracts();

test("the client's table of routes is up to date: npm run client:routes", () => {
	expect(readFileSync(path, "utf8")).toBe(tableOf(contracts));
});

test("the client has the contract of every service with a route", () => {
	const source = readFileSync(`${client}/src/contracts.ts`, "utf8");
	const missing = contracts
		.filter(({ actions }) => Object.values(actions).some(isOfClient))
		.filter(({ name }) => !source.includes(`readonly ${name}: typeof ${name};`));
	expect(missing.map(({ name }) => name)).toEqual([]);
});

test("every header with a secret has an option of the client", () => {
	const headers = Object.values(routes).flatMap((route) => ("token" in route ? route.token : []));
	expect([...new Set(headers)].sort()).toEqual(["Cart-Token", "Order-Token"]);
});
