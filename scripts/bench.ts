import { writeFileSync } from "node:fs";
import { resolve } from "node:path";
import { type Options, read, USAGE } from "../bench/options.ts";
import { page } from "../bench/page.ts";
import { forgetStatements, slowest } from "../bench/postgres.ts";
import { comparison, HEADLINE, line, resting } from "../bench/report.ts";
import { type Findings, measureAll } from "../bench/rounds.ts";
import { openSite, type Site } from "../bench/targets.ts";
import { missingServers } from "../chaos/cluster.ts";
import { type Program, run } from "../lib/program.ts";
import { StartError } from "../lib/start-error.ts";

/** Time for everything to drain and stop. */
const END_MS = 60_000;
const live = process.stderr.isTTY;
/** What is going on, in one line that the next one overwrites; only for somebody who watches. */
const progress = (text: string) => void (live && process.stderr.write(`\r\x1b[K${text}`));
const print = (text: string) => {
	if (live) process.stderr.write("\r\x1b[K");
	console.log(text);
};

/** The benchmark itself: a shop, perhaps another revision of it, and the floor. */
async function compare(options: Options, site: Site): Promise<Findings> {
	const targets = [await site.shop("shop", options.size)];
	if (options.vs) targets.push(await site.shop(options.vs, options.size, options.vs));
	if (options.floor) targets.push(await site.floor(options.size));
	print(HEADLINE);
	const findings = await measureAll(targets, {
		...options,
		onProgress: progress,
		onRow: (row, all) => print(line(row, all)),
		...(options.profile ? { afterEach: (target) => profile(target) } : {}),
	});
	for (const text of resting(findings.idle)) print(text);
	if (options.vs) print(["", `shop against ${options.vs}`, ...comparison(findings.rows, "shop", options.vs)].join("\n"));
	return findings;
}

async function profile({ databases }: { databases: ReadonlyMap<Site["servers"][number], readonly string[]> }): Promise<void> {
	for (const [server, names] of databases) {
		for (const { database, calls, ms, mean_us, query } of await slowest(server, names))
			print(
				`${String(ms).padStart(8)} ms  ${String(calls).padStart(8)} x ${String(mean_us).padStart(6)} us  ${database}: ${query.slice(0, 110)}`,
			);
		await forgetStatements(server);
	}
}

function keep(options: Options, findings: Findings): void {
	const command = `npm run bench -- ${process.argv.slice(2).join(" ")}`.trim();
	if (options.json) writeFileSync(resolve(options.json), JSON.stringify({ command, ...findings }, null, "\t"));
	if (options.page) writeFileSync(resolve(options.page), page(command, findings));
}

async function measure(program: Program, options: Options): Promise<void> {
	const missing = options.shape === "cluster" ? missingServers() : [];
	if (missing.length > 0) throw new StartError(`${missing.join(" and ")} not found; on Debian: apt-get install ${missing.join(" ")}`);
	const { open, close } = openSite(options, progress);
	program.onEnd(END_MS, close);
	const site = await program.step(open());
	const findings = await program.step(compare(options, site));
	keep(options, findings);
	const checked = Object.entries(findings.checked).map(([target, n]) => `${n} of ${target}`);
	print(`Orders that are stored as they were answered, with their stock: ${checked.join(", ")}`);
	for (const violation of findings.violations) print(`VIOLATION ${violation}`);
	await program.stop(findings.violations.length > 0 ? 1 : 0);
}

run("bench", async (program) => {
	const options = read();
	if (options) return measure(program, options);
	console.log(USAGE);
	await program.stop();
});
