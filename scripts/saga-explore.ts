import { parseArgs } from "node:util";
import fc from "fast-check";
import { everySagaEnds, nobodyTakesOver } from "../test/support/saga-model.ts";

const properties = { everySagaEnds, nobodyTakesOver };
type Name = keyof typeof properties;

const { values: options } = parseArgs({
	options: {
		runs: { type: "string", default: "10000" },
		seed: { type: "string" },
		path: { type: "string" },
		property: { type: "string", default: "everySagaEnds" },
		help: { type: "boolean", short: "h", default: false },
	},
});
const { runs, seed, path, property, help } = options;
const first = seed === undefined ? Date.now() % 2 ** 31 : Number(seed);
if (help || !Number.isInteger(first) || !(Number(runs) > 0) || !Object.hasOwn(properties, property)) {
	console.log(`npm run saga:explore -- [options]
  --runs 10000         how many generated runs of lib/saga.ts
  --seed 1             where they begin; the time of day unless given
  --property NAME      ${Object.keys(properties).join(", ")}
  --path 12:0:3        only the run that a failure has named`);
	process.exit(help ? 0 : 1);
}

/** What happens in one seed, between two lines of progress. */
const CHUNK = 500;
const begun = performance.now();
const totals: Record<string, number> = {};
for (let done = 0; done < Number(runs); done += CHUNK) {
	const chunk = { seed: first + done / CHUNK, numRuns: Math.min(CHUNK, Number(runs) - done), ...(path === undefined ? {} : { path }) };
	const result = await fc.check(properties[property as Name](totals), chunk);
	if (result.failed) {
		console.error(fc.defaultReportMessage(result));
		const again = `--property ${property} --seed ${chunk.seed} --path ${result.counterexamplePath}`;
		console.error(`\nOnce more: npm run saga:explore -- --runs ${CHUNK} ${again}`);
		process.exit(1);
	}
	const seconds = Math.round((performance.now() - begun) / 1000);
	console.log(`${done + chunk.numRuns} runs in ${seconds} s, all well; seed ${chunk.seed}`);
}
const happened = Object.entries(totals).sort(([a], [b]) => a.localeCompare(b));
console.log(happened.map(([what, times]) => `${times} ${what}`).join("\n"));
