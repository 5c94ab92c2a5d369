import { Agent } from "node:http";
import { setTimeout as delay } from "node:timers/promises";
import { readCommandLine, wholeNumber } from "../../lib/process/command-line.ts";
import { type Program, runProgram } from "../../lib/process/lifecycle.ts";
import { StartError } from "../../lib/process/start-error.ts";
import { readEnv } from "../../lib/settings/env.ts";
import { type Customer, login } from "../../test/support/builders.ts";
import { httpOf } from "../../test/support/http.ts";
import { ADMIN, howToInstall, missingServers, startCluster } from "../chaos/cluster.ts";
import { readContracts, routesOf } from "../documents/openapi.ts";
import { attacks } from "./attacks.ts";
import { fuzzStreams } from "./event-streams.ts";
import { type FuzzOptions, type FuzzReport, fuzz } from "./fuzz.ts";
import { type Held, watchMemory } from "./memory.ts";
import type { FuzzRequest } from "./requests.ts";
import { fuzzProductChanges, setUpWith, streamsSetUpWith } from "./set-up.ts";
import { findStalls, MOST_MS } from "./stalls.ts";

const USAGE = `npm run fuzz -- [options]
  --shape cluster              starts a cluster of its own, two nodes of each service, and sees that no process grows
  --url http://127.0.0.1:3000  or asks a shop that runs there with RATE_LIMIT_ENABLED=false and may be filled with nonsense;
                               ADMIN_EMAIL and ADMIN_PASSWORD name an administrator
  --seed 1                     repeats an earlier run
  --requests 50000             how many
  --lanes 8                    how many at once
Pipelined, parallel and aborted event streams follow, and overlapping changes of a product. Then it sends adversarial texts of the greatest
length in each parameter, header, path and query, one request at a time.
Ends with 1 if an answer is one that nobody should get, none comes, memory grows, or a request blocks an event loop for more than ${MOST_MS} ms.`;
/** How often all routes are gone through: thirds of these are compared for memory. */
const ROUNDS = 9;
const LEAST_FOR_MEMORY = 20_000;
/** Writes of each of four writers of one product. */
const PRODUCT_WRITES = 100;
/** Of pipelined, parallel and aborted event streams, at each gateway. */
const STREAM_ROUNDS = 200;

interface Target {
	readonly urls: readonly string[];
	/** Addresses that respond from the event loop of each node that is known. */
	readonly nodes: readonly string[];
	readonly admin: { readonly email: string; readonly password: string };
	/** What runs it, where that is ours. */
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

async function startOwn(program: Program): Promise<Target> {
	const missing = missingServers();
	if (missing.length > 0) throw new StartError(howToInstall(missing));
	const cluster = await program.step(
		startCluster({ edge: 2, orders: 2, goods: 2, money: 2 }, [], console.log),
	);
	program.onEnd(20_000, () => cluster.stop());
	return {
		urls: cluster.urls,
		nodes: cluster.health,
		admin: ADMIN,
		processes: cluster.members.filter(({ kind }) => kind === "node"),
	};
}
function given(url: string): Target {
	const { ADMIN_EMAIL: email, ADMIN_PASSWORD: password } = readEnv();
	if (!password)
		throw new StartError(
			"ADMIN_EMAIL and ADMIN_PASSWORD name no administrator: set them, or use --shape cluster",
		);
	return { urls: [url], nodes: [url], admin: { email, password }, processes: [] };
}

runProgram("fuzz", async (program) => {
	const { cluster, url, seed, requests, lanes } = await read(program);
	const { urls, nodes, admin: account, processes } = cluster ? await startOwn(program) : given(url);
	const http = httpOf(urls[0]!);
	const admin = async (): Promise<Customer> => ({
		id: "",
		...account,
		token: await login({ http }, account),
	});
	await program.step(assertAdmin(admin, urls[0]!));
	const routes = routesOf(await readContracts());
	const setUp = setUpWith({ http }, admin);
	const perRoute = Math.ceil(requests / routes.length);
	console.log(
		`Seed ${seed}: ${perRoute} requests to each of ${routes.length} routes of ${urls.join(" and ")}`,
	);
	const began = performance.now();
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
			onRound: memory.turn,
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
	console.log(summary({ ...report, failures }, held, performance.now() - began));
	for (const what of stale.slice(0, 20)) console.log(what);
	const stalls = await program.step(attack(report, routes, urls[0]!, nodes, setUp));
	const bad = failures.length + stale.length;
	if (bad > 0) throw new StartError(`${bad} answers that nobody should get`);
	// So few requests fill no heap, and say nothing about one that fills.
	const growing = requests < LEAST_FOR_MEMORY ? [] : held.filter(({ flat }) => !flat);
	if (growing.length > 0)
		throw new StartError(`${growing.map(({ name }) => name).join(", ")} did not stop growing`);
	if (stalls.length > 0)
		throw new StartError(
			`${stalls.length} requests blocked an event loop for more than ${MOST_MS} ms`,
		);
	await program.stop();
});

/** Sends adversarial requests, and those that were slow, one at a time. */
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
		console.log(`${ms.toFixed(0)} ms: ${shown(request)}`);
	return stalls;
}
const shown = ({ method, path, headers, body }: FuzzRequest): string =>
	[
		`${method} ${path.slice(0, 200)}`,
		body?.toString().slice(0, 300) ?? "",
		JSON.stringify(headers).slice(0, 300),
	].join("\n  ");

/** Nodes may still be discovering each other just after they are ready. */
async function assertAdmin(admin: () => Promise<Customer>, url: string): Promise<void> {
	for (const end = Date.now() + 10_000; !(await admin()).token; await delay(200)) {
		if (Date.now() > end)
			throw new StartError(`nobody can sign in at ${url}: set ADMIN_EMAIL and ADMIN_PASSWORD`);
	}
}

function summary(
	{ requests, statuses, failures }: FuzzReport,
	held: readonly Held[],
	ms: number,
): string {
	const answers = Object.entries(statuses).map(([status, count]) => `${status}: ${count}`);
	return [
		`${requests} requests in ${(ms / 1000).toFixed(1)} s; ${answers.join(", ")}`,
		...held.map(
			({ name, warm, end, flat }) =>
				`${name.padEnd(10)} ${warm.toFixed(0)} MB, in the end ${end.toFixed(0)} MB${flat ? "" : ", growing"}`,
		),
		...failures
			.slice(0, 20)
			.map(
				({ what, request: { method, path, body }, seed, answer }) =>
					`\n${method} ${path.slice(0, 200)} ${what} (seed ${seed})\n  ${body?.toString().slice(0, 300) ?? ""}\n  ${answer}`,
			),
	].join("\n");
}

/** A line that fills. */
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
