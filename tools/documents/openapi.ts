import { writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Contract } from "../../lib/contracts/contract.ts";
import { noArguments, readCommandLine } from "../../lib/process/command-line.ts";
import { runProgram } from "../../lib/process/lifecycle.ts";
import { version } from "../../lib/process/version.ts";
import { serviceNames } from "../../lib/settings/node.ts";
import { type DocumentedRoute, openapi } from "../../services/api/documentation/openapi.ts";
import type { Published } from "../../services/api/routing/published.ts";
import { systemEndpoints } from "../../services/api/system-endpoints.ts";

const root = join(import.meta.dirname, "../..");
/** Path of the document. */
export const path = join(root, "docs/openapi.json");

/** The contracts of all services except the gateway. */
export async function readContracts(): Promise<Contract[]> {
	const folder = join(root, "services");
	const found = serviceNames(folder)
		.filter((name) => name !== "api")
		.map(
			async (name): Promise<Contract> =>
				(await import(join(folder, name, `${name}.contract.ts`)))[name],
		);
	return Promise.all(found);
}

/** The routes of all contracts, as the gateway publishes them when all services are available. */
export const routesOf = (
	contracts: readonly Contract[],
): (DocumentedRoute & { readonly contract: Published })[] =>
	contracts.flatMap(({ name, actions }) =>
		Object.entries(actions).flatMap(([key, action]) => {
			if (!action.rest) return [];
			const contract = { ...action, rest: action.rest, name: `${name}.${key}` };
			const [method, address] = action.rest.split(" ") as [string, string];
			return [method, ...(action.also ?? [])].map((verb) => ({
				method: verb,
				path: `/api${address}`,
				contract,
			}));
		}),
	);

/** The OpenAPI document, as the gateway serves it when all services are available. */
export async function document(): Promise<string> {
	const contracts = await readContracts();
	const own = Object.keys(systemEndpoints({} as never, [])).map((page) => ({
		method: "GET",
		path: page.split(" ")[1]!,
	}));
	const errors = Object.assign({}, ...contracts.map(({ errors }) => errors));
	const description = openapi([...own, ...routesOf(contracts)], errors, version);
	return `${JSON.stringify(description, null, "\t")}\n`;
}

if (import.meta.main)
	runProgram("openapi", async (program) => {
		await readCommandLine(
			program,
			noArguments(
				"npm run openapi --",
				"Writes docs/openapi.json from the contracts of all services.",
			),
		);
		writeFileSync(path, await document());
		await program.stop();
	});
