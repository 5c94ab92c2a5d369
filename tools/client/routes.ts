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

/** The source of the table, in the format of the repository. */
export const tableOf = (contracts: readonly Contract[]): string =>
	`// Generated from the contracts by npm run client:routes.
import type { Route } from "./route.ts";

/** Routes of the actions, by name. */
export const routes = {
${contracts
	.flatMap(({ name, actions }) =>
		Object.entries(actions)
			.filter(([, action]) => isOfClient(action))
			.map(([key, action]) => entry(`${name}.${key}`, routeOf(action))),
	)
	.join("\n")}
} as const satisfies Readonly<Record<string, Route>>;
`;

/** On one line if it has at most 100 columns. */
function entry(action: string, route: Route): string {
	const members = Object.entries(route).map(([name, value]) => `${name}: ${printValue(value)}`);
	const line = `"${action}": { ${members.join(", ")} },`;
	return line.length <= 100 - TAB
		? `\t${line}`
		: `\t"${action}": {\n${members.map((member) => `\t\t${member},\n`).join("")}\t},`;
}
/** Columns of a tab. */
const TAB = 2;

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
