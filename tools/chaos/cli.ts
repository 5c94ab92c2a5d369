import { writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { readCommandLine, wholeNumber } from "../../lib/process/command-line.ts";
import { makeFolders } from "../../lib/process/folder-access.ts";
import { type Program, runProgram } from "../../lib/process/lifecycle.ts";
import { StartError } from "../../lib/process/start-error.ts";
import { progressBar } from "../../scripts/progress-bar.ts";
import { BUGS, PROFILES } from "./profiles.ts";
import { reportPage } from "./report-page.ts";
import { type ChaosResult, chaos } from "./run.ts";
import { runSelfTest, SELF_TESTS } from "./self-test.ts";
import { howToInstall, missingServers } from "./servers.ts";

const USAGE = `npm run chaos -- [options]
  --seconds 60   duration of fault injection
  --seed 7       repeats the faults and actions of an earlier run; random by default
  --buyers 16    number of concurrent buyers
  --orders 3     number of nodes that run the orders service
  --faults NAME  fault profile:
${Object.entries(PROFILES)
	.map(([name, { about }]) => `                   ${name.padEnd(12)} ${about}`)
	.join("\n")}
  --bug NAME     injects a deliberate bug, which the run must detect, and selects the profile that
                 reveals it: ${Object.keys(BUGS).join(", ")}
  --self-test    verifies in short runs that each deliberate bug is detected, and nothing else
  --out FOLDER   folder of the timeline page; data/chaos by default
Requires nats-server and redis-server; npm ci installs Postgres. See docs/chaos.md. Exits with code
1 after a violation.`;

const read = (program: Program) =>
	readCommandLine(program, {
		command: "npm run chaos --",
		usage: USAGE,
		options: {
			seconds: { type: "string", default: "60" },
			seed: { type: "string", default: String(Math.floor(Math.random() * 1e6)) },
			buyers: { type: "string", default: "16" },
			orders: { type: "string", default: "3" },
			faults: { type: "string" },
			bug: { type: "string" },
			out: { type: "string", default: "data/chaos" },
			"self-test": { type: "boolean", default: false },
		},
		convert: ({ seconds, seed, buyers, orders, bug, faults, out, "self-test": isSelfTest }) => ({
			isSelfTest,
			seconds: wholeNumber("seconds", seconds, 3),
			seed: wholeNumber("seed", seed, 0),
			buyers: wholeNumber("buyers", buyers, 1),
			orders: wholeNumber("orders", orders, 1),
			bug: oneOf("bug", bug, BUGS),
			faults: oneOf("faults", faults, PROFILES),
			out,
		}),
	});

function oneOf<K extends string>(
	option: string,
	value: string | undefined,
	known: Readonly<Record<K, unknown>>,
): K | undefined {
	if (value !== undefined && !Object.hasOwn(known, value))
		throw new Error(`--${option} must be one of ${Object.keys(known).join(", ")}`);
	return value as K | undefined;
}

function bar(seconds: number, total: number, requests: number): string {
	const passed = Math.min(total, Math.floor(seconds));
	return `${progressBar(seconds / total)} ${passed} of ${total} s, ${requests} requests`;
}

function summary({ findings, faults, tally, orders, thefts, settledAfter }: ChaosResult): string {
	const count = (kind: string) => faults.filter((fault) => fault.kind === kind).length;
	const statuses = Object.entries(orders).map(([status, n]) => `${n} ${status}`);
	const latencies = [50, 95, 99].map((p) => `p${p} ${tally.percentile(p / 100)} ms`);
	return [
		"",
		`Faults    ${count("kill")} kills, ${count("pause")} pauses, ${count("restart")} restarts`,
		`Requests  ${tally.requests}; latency ${latencies.join(", ")}`,
		...tally.kinds().map(([what, n]) => `          ${String(n).padStart(6)}  ${what}`),
		`Orders    ${statuses.join(", ")}`,
		`Thefts    ${thefts} stolen sessions, each used during a password change`,
		`Settled   ${settledAfter.toFixed(1)} s after the last fault`,
		...findings
			.slice(0, 50)
			.map(({ invariant, subject, detail }) => `VIOLATION ${invariant}  ${subject}  ${detail}`),
		findings.length === 0 ? "No violation" : `${findings.length} violations`,
	].join("\n");
}

/** Runs all self-tests and prints a line for each. @returns the exit code */
async function testItself(): Promise<0 | 1> {
	let code: 0 | 1 = 0;
	for (const test of SELF_TESTS) {
		const found = await runSelfTest(test);
		if (found) code = 1;
		const violations = found?.join(", ") || "none";
		const expected = `expected ${test.violates ?? "no violation"}, found ${violations}`;
		console.log(`${found ? "FAILED" : "ok    "} ${test.title}${found ? `: ${expected}` : ""}`);
	}
	return code;
}

/** Milliseconds to stop the cluster and remove its folder after Ctrl-C. */
const STOP_MS = 20_000;

runProgram("chaos", async (program) => {
	const options = await read(program);
	const missing = missingServers();
	if (missing.length > 0) throw new StartError(howToInstall(missing));
	if (options.isSelfTest) return program.stop(await program.step(testItself()));
	const { seconds, seed, buyers, orders, bug, faults, out } = options;
	const live = process.stderr.isTTY;
	const result = await program.step(
		chaos({
			seconds,
			seed,
			buyers,
			bug,
			faults,
			size: { edge: 2, orders, goods: 2, money: 2 },
			onStart: (stop) => program.onEnd(STOP_MS, stop),
			print: (line) => console.log(live ? `\r\x1b[K${line}` : line),
			onProgress: (now, requests) =>
				void (live && process.stderr.write(`\r${bar(now, seconds, requests)}`)),
		}),
	);
	const file = join(resolve(out), `chaos-${seed}${bug ? `-${bug}` : ""}.html`);
	await makeFolders(resolve(out));
	const chosen = `${faults ? ` --faults ${faults}` : ""}${bug ? ` --bug ${bug}` : ""}`;
	const command =
		`npm run chaos -- --seconds ${seconds} --seed ${seed} ` +
		`--buyers ${buyers} --orders ${orders}${chosen}`;
	writeFileSync(file, reportPage(command, result));
	console.log(summary(result));
	console.log(`Report    ${file}\nAgain     ${command}`);
	await program.stop(result.findings.length > 0 ? 1 : 0);
});
