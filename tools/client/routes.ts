import { writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Route } from "../../clients/typescript/src/route.ts";
import type { ActionContract, Contract } from "../../lib/contracts/contract.ts";
import { noArguments, readCommandLine } from "../../lib/process/command-line.ts";
import { runProgram } from "../../lib/process/lifecycle.ts";
import { readContracts } from "../documents/openapi.ts";

/** Path of the table. */
export const path = join(import.meta.dirname, "../../clients/typescript/src/routes.ts");
/** Milliseconds of an action that the client's usual timeout covers. */
const USUAL_MS = 20_000;

/** Actions that the client has a method for: those with a route, except webhooks. */
export const isOfClient = ({ rest, rawBody }: ActionContract): boolean =>
	rest !== undefined && !rawBody;

/** Route of an action in the client's table. */
function routeOf(action: ActionContract): Route {
	const { rest, page, stream, upload, download, bodyList, idempotent, token, timeout } = action;
	return {
		rest: rest!,
		...(page ? { page } : {}),
		...(page && action.params.after ? { keyset: true } : {}),
		...(stream ? { stream: true } : {}),
		...(upload ? { upload: true } : {}),
		...(download ? { download: true } : {}),
		...(bodyList ? { bodyList } : {}),
		...(idempotent ? { idempotent } : {}),
		...(token ? { token } : {}),
		...(timeout !== undefined && timeout > USUAL_MS ? { timeout: timeout + USUAL_MS } : {}),
	};
}

/** The source of the table: one line per action, in the format of the repository. */
export function tableOf(contracts: readonly Contract[]): string {
	const lines = contracts.flatMap(({ name, actions }) =>
		Object.entries(actions)
			.filter(([, action]) => isOfClient(action))
			.map(([key, action]) => `\t${JSON.stringify(`${name}.${key}`)}: ${print(routeOf(action))},`),
	);
	return `// Generated from the contracts by npm run client:routes.
import type { Route } from "./route.ts";

/** Routes of the actions, by name. */
export const routes = {
${lines.join("\n")}
} as const satisfies Readonly<Record<string, Route>>;
`;
}

const print = (route: Route): string =>
	`{ ${Object.entries(route)
		.map(([name, value]) => `${name}: ${printValue(value)}`)
		.join(", ")} }`;
const printValue = (value: unknown): string =>
	typeof value === "number"
		? String(value).replace(/\B(?=(\d{3})+$)/g, "_")
		: JSON.stringify(value);

if (import.meta.main)
	runProgram("client:routes", async (program) => {
		await readCommandLine(
			program,
			noArguments(
				"npm run client:routes --",
				"Writes clients/typescript/src/routes.ts from the contracts of all services.",
			),
		);
		writeFileSync(path, tableOf(await readContracts()));
		await program.stop();
	});
