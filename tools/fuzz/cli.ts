import { Agent } from "node:http";
import { setTimeout as delay } from "node:timers/promises";
import { readCommandLine, wholeNumber } from "../../lib/process/command-line.ts";
import { type Program, runProgram } from "../../lib/process/lifecycle.ts";
import { StartError } from "../../lib/process/start-error.ts";
import { readEnv } from "../../lib/settings/env.ts";
import { type Customer, login } from "../../test/support/builders.ts";
import { eventually } from "../../test/support/eventually.ts";
import { assertRoutes, httpOf } from "../../test/support/http.ts";
import { ADMIN, startCluster } from "../chaos/cluster.ts";
import { howToInstall, missingServers } from "../chaos/servers.ts";
import { readContracts, routesOf } from "../documents/openapi.ts";
import { attacks } from "./attacks.ts";
import { fuzzStreams } from "./event-streams.ts";
import { type FuzzOptions, type FuzzReport, fuzz } from "./fuzz.ts";
import { type MemoryUse, watchMemory } from "./memory.ts";
import type { FuzzRequest } from "./requests.ts";
import { fuzzProductChanges, setUpWith, streamsSetUpWith } from "./set-up.ts";
import { findStalls, MAX_BLOCK_MS } from "./stalls.ts";

const USAGE = `npm run fuzz -- [options]
  --shape cluster              starts a cluster with two nodes of each service, and checks that the
                               memory of no process grows
  --url http://127.0.0.1:3000  uses a running shop instead, which needs RATE_LIMIT_ENABLED=false and
                               will contain random data; ADMIN_EMAIL and ADMIN_PASSWORD are the
                               login of an administrator
  --seed 1                     repeats an earlier run
  --requests 50000             number of requests
  --lanes 8                    number of concurrent requests
Phases: random requests; pipelined, parallel and aborted event streams; overlapping changes of a
product; adversarial values of maximum length, one request at a time.
Exits with code 1 after an invalid or missing response, if memory grows, or if a request blocks an
event loop for more than ${MAX_BLOCK_MS} ms.`;
/** Passes through all routes. The memory check compares thirds of them. */
const ROUNDS = 9;
const MIN_REQUESTS_FOR_MEMORY = 20_000;
/** Number of changes by each of four writers of one product. */
const PRODUCT_WRITES = 100;
/** Rounds of event streams at each gateway. */
const STREAM_ROUNDS = 200;

interface Target {
	readonly urls: readonly string[];
	/** Addresses that respond from the event loop of each node that is known. */
	readonly nodes: readonly string[];
	readonly admin: { readonly email: string; readonly password: string };
	/** Processes of the cluster; empty for a running shop. */
	readonly processes: readonly { readonly name: string; readonly pid: number | undefined }[];
}

const text = { type: "string" } as const;
const read = (program: Program) =>
	readCommandLine(program, {
		command: "npm run fuzz --",
		usage: USAGE,
		options: { shape: text, url: text, seed: text, requests: text, lanes: text },
		convert({ shape, url, seed, requests, lanes }) {
			if (shape && (shape !== "cluster" || url))
				throw new Error("--shape must be cluster, and excludes --url");
			return {
				cluster: shape === "cluster",
				url: url ?? "http://127.0.0.1:3000",
				seed: wholeNumber("seed", seed ?? String((Date.now() % 1_000_000) + 1), 1),
				requests: wholeNumber("requests", requests ?? "50000", 1),
				lanes: wholeNumber("lanes", lanes ?? "8", 1),
			};
		},
	});

async function startTargetCluster(program: Program): Promise<Target> {
	const missing = missingServers();
	if (missing.length > 0) throw new StartError(howToInstall(missing));
	const cluster = await program.step(
		startCluster({ edge: 2, orders: 2, goods: 2, money: 2 }, [], console.log, {
			onStart: (stop) => program.onEnd(20_000, stop),
		}),
	);
	return {
		urls: cluster.urls,
		nodes: cluster.health,
		admin: ADMIN,
		processes: cluster.members.filter(({ kind }) => kind === "node"),
	};
}
/** Waits for the routes, because a 503 would look as if a service had no node. */
function waitForRoutes(url: string, routes: FuzzOptions["routes"]): Promise<void> {
	const services = new Set(routes.map(({ contract }) => contract.name.split(".")[0]!));
	return eventually(() => assertRoutes(url, services));
}
function runningShop(url: string): Target {
	const { ADMIN_EMAIL: email, ADMIN_PASSWORD: password } = readEnv();
	if (!password)
		throw new StartError(
			"ADMIN_PASSWORD is not set: set ADMIN_EMAIL and ADMIN_PASSWORD, or use --shape cluster",
		);
	return { urls: [url], nodes: [url], admin: { email, password }, processes: [] };
}

runProgram("fuzz", async (program) => {
	const { cluster, url, seed, requests, lanes } = await read(program);
	const {
		urls,
		nodes,
		admin: account,
		processes,
	} = cluster ? await startTargetCluster(program) : runningShop(url);
	const http = httpOf(urls[0]!);
	const admin = async (): Promise<Customer> => ({
		id: "",
		...account,
		token: await login({ http }, account),
	});
	const routes = routesOf(await readContracts());
	if (cluster) await program.step(Promise.all(urls.map((one) => waitForRoutes(one, routes))));
	await program.step(assertAdmin(admin, urls[0]!));
	const setUp = setUpWith({ http }, admin);
	const perRoute = Math.ceil(requests / routes.length);
	console.log(
		`Seed ${seed}: ${perRoute} requests ` +
			`to each of ${routes.length} routes of ${urls.join(" and ")}`,
	);
	const startedAt = performance.now();
	const memory = watchMemory(processes);
	const report = await program.step(
		fuzz({
			urls,
			routes,
			setUp,
			seed,
			perRoute,
			rounds: ROUNDS,
			lanes,
			onProgress: bar(),
			onRound: memory.nextRound,
		}),
	);
	const streams = await program.step(
		fuzzStreams({ urls, seed, rounds: STREAM_ROUNDS, setUp: streamsSetUpWith({ http }, admin) }),
	);
	const gateways = urls.map((one) => ({ http: httpOf(one) }));
	const stale = await program.step(
		fuzzProductChanges(gateways, admin, { seed, writes: PRODUCT_WRITES }),
	);
	const held = memory.stop();
	process.stdout.write("\n");
	const failures = [...report.failures, ...streams];
	console.log(summary({ ...report, failures }, held, performance.now() - startedAt));
	for (const description of stale.slice(0, 20)) console.log(description);
	const stalls = await program.step(attack(report, routes, urls[0]!, nodes, setUp));
	const invalid = failures.length + stale.length;
	if (invalid > 0) throw new StartError(`${invalid} invalid responses`);
	// Fewer requests do not fill the heap, so they cannot show whether it grows.
	const growing = requests < MIN_REQUESTS_FOR_MEMORY ? [] : held.filter(({ flat }) => !flat);
	if (growing.length > 0)
		throw new StartError(`memory of ${growing.map(({ name }) => name).join(", ")} grows`);
	if (stalls.length > 0)
		throw new StartError(
			`${stalls.length} requests blocked an event loop for more than ${MAX_BLOCK_MS} ms`,
		);
	await program.stop();
});

/** Sends adversarial requests and earlier slow requests, one at a time. */
async function attack(
	{ slow }: FuzzReport,
	routes: FuzzOptions["routes"],
	url: string,
	nodes: readonly string[],
	setUp: FuzzOptions["setUp"],
) {
	const { tokens } = await setUp();
	const agent = new Agent({ keepAlive: true });
	const { sent, stalls } = await findStalls(
		agent,
		url,
		[...slow, ...attacks(routes, tokens.at(-1))],
		nodes,
	);
	agent.destroy();
	console.log(
		`${sent} adversarial and slow requests, one at a time; ${stalls.length} blocked an event loop`,
	);
	for (const { ms, request } of stalls.slice(0, 20))
		console.log(`${ms.toFixed(0)} ms: ${describeRequest(request)}`);
	return stalls;
}
const describeRequest = ({ method, path, headers, body }: FuzzRequest): string =>
	[
		`${method} ${path.slice(0, 200)}`,
		body?.toString().slice(0, 300) ?? "",
		JSON.stringify(headers).slice(0, 300),
	].join("\n  ");

/** Waits until the administrator can log in: nodes may discover each other after they are ready. */
async function assertAdmin(admin: () => Promise<Customer>, url: string): Promise<void> {
	for (const end = Date.now() + 10_000; !(await admin()).token; await delay(200)) {
		if (Date.now() > end)
			throw new StartError(
				`the administrator cannot log in at ${url}: check ADMIN_EMAIL and ADMIN_PASSWORD`,
			);
	}
}

function summary(
	{ requests, statuses, failures }: FuzzReport,
	held: readonly MemoryUse[],
	ms: number,
): string {
	const counts = Object.entries(statuses).map(([status, count]) => `${status}: ${count}`);
	return [
		`${requests} requests in ${(ms / 1000).toFixed(1)} s; ${counts.join(", ")}`,
		...held.map(
			({ name, warm, end, flat }) =>
				`${name.padEnd(10)} ${warm.toFixed(0)} MB, ` +
				`finally ${end.toFixed(0)} MB${flat ? "" : ", growing"}`,
		),
		...failures
			.slice(0, 20)
			.flatMap(({ what, request: { method, path, body }, seed, response }) => [
				`\n${method} ${path.slice(0, 200)}: ${what} (seed ${seed})`,
				`  ${body?.toString().slice(0, 300) ?? ""}`,
				`  ${response}`,
			]),
	].join("\n");
}

/** A progress bar. */
function bar(): (done: number, of: number, failures: number) => void {
	let shown = -1;
	return (done, of, failures) => {
		const percent = Math.floor((100 * done) / of);
		if (percent === shown) return;
		shown = percent;
		process.stdout.write(
			`\r[${"#".repeat(percent / 4).padEnd(25, ".")}] ${percent} %, ${failures} failures`,
		);
	};
}
