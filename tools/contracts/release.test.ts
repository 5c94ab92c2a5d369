import { expect, test } from "@jest/globals";
import { breakingChanges } from "../../lib/contracts/compatibility.ts";
import { acceptedBreaks, presentContracts, releasedContracts } from "./release.ts";

test("contracts are compatible with the last release, except for accepted changes", async () => {
	const released = releasedContracts();
	expect(released.length).toBeGreaterThan(5);
	const changes = breakingChanges(released, await presentContracts());
	expect(changes.sort()).toEqual(acceptedBreaks().sort());
});

test("every change of a resource with an ETag honors If-Match", async () => {
	const actions = (await presentContracts()).flatMap((contract) => Object.values(contract.actions));
	const routes = actions.flatMap(({ rest = "", also = [], etag }) => {
		const [method, path] = rest.split(" ");
		return [method, ...also].map((verb) => ({ method: verb, path, etag }));
	});
	const tagged = new Set(
		routes.flatMap(({ method, path, etag }) => (method === "GET" && etag ? [path] : [])),
	);
	expect(tagged.size).toBeGreaterThan(0);
	const changes = routes.filter(({ method, path }) => method !== "GET" && tagged.has(path));
	expect(changes.filter(({ etag }) => !etag)).toEqual([]);
});
