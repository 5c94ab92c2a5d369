import { readFileSync } from "node:fs";
import { readCommandLine } from "../../lib/process/command-line.ts";
import { runProgram } from "../../lib/process/lifecycle.ts";
import { StartError } from "../../lib/process/start-error.ts";
import type { Findings } from "./rounds.ts";
import { costPerOrder, formatTables } from "./scaling.ts";

/** Orders per second in docs/scaling.md. */
const RATES = [10, 1000, 100_000];

const USAGE = `npm run scaling -- FILE
  Prints the tables of docs/scaling.md.
  FILE  the --json file of npm run bench -- --shape cluster --scenarios order`;

/** Prints the tables of docs/scaling.md from a measurement of orders in a cluster. */
runProgram("scaling", async (program) => {
	const { file } = await readCommandLine(program, {
		command: "npm run scaling --",
		usage: USAGE,
		options: {},
		positionals: 1,
		convert(_, [file]) {
			if (!file) throw new Error("The file of a measurement is missing");
			return { file };
		},
	});
	const { rows } = JSON.parse(readFileSync(file, "utf8")) as Findings;
	const measured = rows
		.filter(({ target, scenario }) => target === "shop" && scenario === "order")
		.at(-1);
	if (!measured)
		throw new StartError(`${file} contains no measurement of the scenario "order" on the shop`);
	console.log(formatTables(costPerOrder(measured.median), RATES));
	await program.stop();
});
