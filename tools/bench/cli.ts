import { writeFileSync } from "node:fs";
import { resolve } from "node:path";
import { printUsage } from "../../lib/process/command-line.ts";
import { type Program, runProgram } from "../../lib/process/lifecycle.ts";
import { StartError } from "../../lib/process/start-error.ts";
import { howToInstall, missingServers } from "../chaos/servers.ts";
import { type Options, read, USAGE } from "./options.ts";
import { resultPage } from "./page.ts";
import { type RunResult, selectRun } from "./runs.ts";
import { createEnvironment } from "./targets.ts";

/** Time limit for stopping all processes and removing the temporary folder. */
const END_MS = 60_000;
const isTerminal = process.stderr.isTTY;
/** Overwrites the progress line; does nothing unless stderr is a terminal. */
const progress = (text: string) => void (isTerminal && process.stderr.write(`\r\x1b[K${text}`));
const print = (text: string) => {
	progress("");
	console.log(text);
};

function writeFiles(
	{ json, page: html }: Options,
	{ findings, extraJson, charts }: RunResult,
): void {
	const command = `npm run bench -- ${process.argv.slice(2).join(" ")}`;
	if (json)
		writeFileSync(
			resolve(json),
			JSON.stringify({ command, ...findings, ...extraJson }, null, "\t"),
		);
	if (html) writeFileSync(resolve(html), resultPage(command, findings, charts));
}

async function measure(program: Program, options: Options): Promise<void> {
	const missing = options.shape === "cluster" ? missingServers() : [];
	if (missing.length > 0) throw new StartError(howToInstall(missing));
	const { open, close } = createEnvironment(options, progress);
	program.onEnd(END_MS, close);
	const environment = await program.step(open());
	const result = await program.step(selectRun(options)(options, environment, { print, progress }));
	writeFiles(options, result);
	const { checked, violations } = result.findings;
	const checkedOrders = Object.entries(checked).map(([target, n]) => `${n} of ${target}`);
	const parts = "stock, payments, shipments and e-mails";
	if (checkedOrders.length > 0)
		print(`\nOrders checked against ${parts}: ${checkedOrders.join(", ")}`);
	for (const violation of violations) print(`VIOLATION ${violation}`);
	await program.stop(violations.length > 0 ? 1 : 0);
}

runProgram("bench", async (program) => {
	await measure(program, read() ?? (await printUsage(program, USAGE)));
});
