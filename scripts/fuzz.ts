import { parseArgs } from "node:util";
import { readEnv } from "../lib/env.ts";
import { run } from "../lib/program.ts";
import { StartError } from "../lib/start-error.ts";
import { fuzz } from "../test/fuzz/fuzz.ts";
import { setUpWith } from "../test/fuzz/set-up.ts";
import { type Customer, login } from "../test/support/actors.ts";
import { httpOf } from "../test/support/http.ts";
import { readContracts, routesOf } from "./openapi.ts";

const HELP = `npm run fuzz -- [--url http://127.0.0.1:3000] [--seed 1] [--requests 50000] [--lanes 8]
ADMIN_EMAIL and ADMIN_PASSWORD name an administrator of a shop that runs there with RATE_LIMIT_ENABLED=false, and that may be filled with nonsense.`;

function read() {
	try {
		const text = { type: "string" } as const;
		return parseArgs({ options: { url: text, seed: text, requests: text, lanes: text, help: { type: "boolean" } } }).values;
	} catch {
		throw new StartError(HELP);
	}
}

run("fuzz", async (program) => {
	const { url = "http://127.0.0.1:3000", seed = String(Date.now() % 1_000_000), requests = "50000", lanes = "8", help } = read();
	const { ADMIN_EMAIL: email, ADMIN_PASSWORD: password } = readEnv();
	if (help || !password) throw new StartError(HELP);
	const http = httpOf(url);
	const admin = async (): Promise<Customer> => ({ id: "", email, password, token: await login({ http }, { email, password }) });
	if (!(await admin()).token) throw new StartError(`${email} cannot sign in at ${url}: set ADMIN_EMAIL and ADMIN_PASSWORD`);
	const routes = routesOf(await readContracts());
	const perRoute = Math.ceil(Number(requests) / routes.length);
	console.log(`Seed ${seed}: ${perRoute} requests to each of ${routes.length} routes of ${url}`);
	const began = performance.now();
	const report = await fuzz({
		urls: [url],
		routes,
		setUp: setUpWith({ http }, admin),
		seed: Number(seed),
		perRoute,
		lanes: Number(lanes),
		onProgress: bar(),
	});
	process.stdout.write("\n");
	const statuses = Object.entries(report.statuses).map(([status, count]) => `${status}: ${count}`);
	console.log(`${report.requests} requests in ${((performance.now() - began) / 1000).toFixed(1)} s; ${statuses.join(", ")}`);
	for (const { what, request, seed, answer } of report.failures.slice(0, 20)) {
		console.log(
			`\n${request.method} ${request.path.slice(0, 200)} ${what} (seed ${seed})\n  ${request.body?.toString().slice(0, 300) ?? ""}\n  ${answer}`,
		);
	}
	if (report.failures.length > 0) throw new StartError(`${report.failures.length} answers that nobody should get`);
	await program.stop();
});

/** A line that fills. */
function bar(): (done: number, of: number, failures: number) => void {
	let shown = -1;
	return (done, of, failures) => {
		const percent = Math.floor((100 * done) / of);
		if (percent === shown) return;
		shown = percent;
		process.stdout.write(`\r[${"#".repeat(percent / 4).padEnd(25, ".")}] ${percent} %, ${failures} failures`);
	};
}
