import { expect, test } from "@jest/globals";
import { randomNumbers } from "../../test/support/random.ts";
import { readContracts, routesOf } from "../documents/openapi.ts";
import { makeRequest } from "./requests.ts";

const SEEDS = 3000;

test("every route with a nested object gets requests with several faults", async () => {
	const isNested = ({ contract }: { contract: { params: object } }) =>
		JSON.stringify(contract.params).includes('"type":"object"');
	const routes = routesOf(await readContracts()).filter(isNested);
	expect(routes.length).toBeGreaterThan(0);
	let made = 0;
	for (const { method, path, contract } of routes)
		for (let seed = 1; seed <= SEEDS; seed++)
			if (makeRequest(method, path, contract, {}, randomNumbers(seed)).path) made++;
	expect(made).toBe(routes.length * SEEDS);
});
