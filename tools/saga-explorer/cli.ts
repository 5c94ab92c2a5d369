import fc from "fast-check";
import { readCommandLine, wholeNumber } from "../../lib/process/command-line.ts";
import { type Program, runProgram } from "../../lib/process/lifecycle.ts";
import { StartError } from "../../lib/process/start-error.ts";
import { everySagaEnds, withoutTakeover } from "./model.ts";

const properties = { everySagaEnds, withoutTakeover };
type Name = keyof typeof properties;
const names = Object.keys(properties).join(", ");
const isName = (text: string): text is Name => Object.hasOwn(properties, text);

const USAGE = `npm run saga:explore -- [options]
  --runs 10000     number of generated runs of lib/saga/runner.ts
  --seed 1         seed of the first run; derived from the clock by default
  --property NAME  ${names}
  --path 12:0:3    repeats only the run that a failure has named
Exits with code 1 if a run violates the property.`;

const read = (program: Program) =>
	readCommandLine(program, {
		command: "npm run saga:explore --",
		usage: USAGE,
		options: {
			runs: { type: "string", default: "10000" },
			seed: { type: "string", default: String(Date.now() % 2 ** 31) },
			path: { type: "string" },
			property: { type: "string", default: "everySagaEnds" },
		},
		convert({ runs, seed, path, property }) {
			if (!isName(property)) throw new Error(`--property must be one of ${names}`);
			return {
				runs: wholeNumber("runs", runs, 1),
				seed: wholeNumber("seed", seed, 0),
				path,
				property,
			};
		},
	});

/** Runs per seed and per line of progress. */
const CHUNK = 500;

runProgram("saga:explore", async (program) => {
	const { runs, seed: first, path, property } = await read(program);
	const begun = performance.now();
	const totals: Record<string, number> = {};
	for (let done = 0; done < runs; done += CHUNK) {
		const chunk = {
			seed: first + done / CHUNK,
			numRuns: Math.min(CHUNK, runs - done),
			...(path === undefined ? {} : { path }),
		};
		const result = await program.step(
			Promise.resolve(fc.check(properties[property](totals), chunk)),
		);
		if (result.failed) {
			console.error(fc.defaultReportMessage(result));
			const { counterexamplePath } = result;
			const again = `--property ${property} --seed ${chunk.seed} --path ${counterexamplePath}`;
			throw new StartError(
				`a run violates ${property}; to repeat it: ` +
					`npm run saga:explore -- --runs ${CHUNK} ${again}`,
			);
		}
		const seconds = Math.round((performance.now() - begun) / 1000);
		console.log(
			`${done + chunk.numRuns} runs in ${seconds} s without a violation; seed ${chunk.seed}`,
		);
	}
	const occurrences = Object.entries(totals).sort(([a], [b]) => a.localeCompare(b));
	console.log(occurrences.map(([what, times]) => `${times} ${what}`).join("\n"));
	await program.stop();
});
