import { execFile } from "node:child_process";
import { mkdirSync, readdirSync, readFileSync } from "node:fs";
import { basename, join } from "node:path";
import { setTimeout as after } from "node:timers/promises";
import { promisify } from "node:util";
import { hasDatabase, serviceNames } from "../../lib/settings/node.ts";
import { eventually } from "../../test/support/eventually.ts";
import { freePort, type Process, startProcess } from "../../test/support/processes.ts";
import { natsMember, redisMember } from "../chaos/servers.ts";
import type { Postgres } from "./postgres.ts";
import type { SeedHistory } from "./seed-history.ts";
import { shopStateReader } from "./shop-invariants.ts";
import { insertSeedHistory, type ServiceDatabase } from "./shop-seed-history.ts";
import { parsePostgresStalls, parseStalls, type Stall } from "./stalls.ts";
import type { Target } from "./target.ts";

export type Shape = "embedded" | "cluster";
interface ShopOptions {
	readonly name: string;
	readonly shape: Shape;
	/** Root of the source tree to start. */
	readonly checkout: string;
	/** Parent folder of data and logs. */
	readonly folder: string;
	/** The service databases are distributed over these servers in turn. */
	readonly servers: readonly Postgres[];
	readonly history: SeedHistory;
	/** Folder for the CPU profiles that the processes write when they exit. */
	readonly profile?: string | undefined;
	/** Whether the processes record what delays requests, see stalls.ts. */
	readonly recordStalls: boolean;
	/** Whether the nodes of a cluster use Redis as a cache. */
	readonly caching: boolean;
	/** Additional environment variables of the processes. */
	readonly env?: Readonly<Record<string, string>> | undefined;
	onRows?(n: number): void;
	/** Registers a clean-up function as soon as a resource exists. */
	onEnd(stop: () => Promise<unknown>): void;
}

const STOP_TIMEOUT_MS = 8000;
const STALL_RECORDER = new URL("./stall-recorder.ts", import.meta.url).href;
/** The administrator of every shop. */
export const ADMIN = { email: "admin@example.com", password: "qV7x2mLw9TzR4kNd" };
const JWT_SECRET = "sYb3kQ8vXw1ZrT6nUe0cJm5hPq2dLf9a";
/** Services that run in the gateway's process, as in Compose and Kubernetes. */
const WITH_GATEWAY = ["operations"];
/** Services on the order path come first, so that two servers share their load equally. */
const ORDER_PATH = [
	"orders",
	"inventory",
	"payments",
	"shipping",
	"notifications",
	"users",
	"products",
	"auth",
];
const rank = (service: string) =>
	(ORDER_PATH.indexOf(service) + ORDER_PATH.length + 1) % (ORDER_PATH.length + 1);

export interface Shop extends Target {
	readonly serviceDatabases: readonly ServiceDatabase[];
	/** Environment of a node that joins the cluster; undefined for an embedded shop. */
	readonly cluster: Readonly<Record<string, string>> | undefined;
}

/** Starts a shop in production mode, on new databases with a seed history. */
export async function startShop(options: ShopOptions): Promise<Shop> {
	const { name, shape, checkout, servers, history, onEnd } = options;
	const folder = join(options.folder, name.replace(/\W/g, "_"));
	mkdirSync(folder);
	const all = serviceNames(join(checkout, "services"));
	const prefix = `${name.replace(/\W/g, "_").toLowerCase()}_`;
	const serviceDatabases = all
		.filter((service) => hasDatabase(checkout, service))
		.sort((a, b) => rank(a) - rank(b))
		.map(
			(service, n): ServiceDatabase => ({
				service,
				server: servers[n % servers.length]!,
				database: prefix + service,
			}),
		);
	const pattern = ({ address }: Postgres) =>
		`postgres://{service}:secret@${address}/${prefix}{service}`;
	await Promise.all(
		servers.map((server) => migrate(checkout, server, pattern(server), serviceDatabases)),
	);
	await insertSeedHistory(history, serviceDatabases, options.onRows);

	const stalls = join(folder, "stalls");
	if (options.recordStalls) mkdirSync(stalls);
	const env = {
		NODE_ENV: "production",
		LOGLEVEL: "warn",
		DATA_DIR: join(folder, "data"),
		DATABASE_URL: pattern(servers[0]!),
		JWT_SECRET,
		ADMIN_EMAIL: ADMIN.email,
		ADMIN_PASSWORD: ADMIN.password,
		RATE_LIMIT_ENABLED: "false",
		BENCH_STALLS: stalls,
		...options.env,
	};
	const args = [
		"--no-warnings",
		...(options.profile ? ["--cpu-prof", `--cpu-prof-dir=${options.profile}`] : []),
		...(options.recordStalls ? ["--import", STALL_RECORDER] : []),
	];
	const port = await freePort();
	const start = (node: string, overrides: Record<string, string>): void => {
		const command = {
			name: node,
			file: process.execPath,
			args: [...args, "scripts/start.js", "--quiet"],
			cwd: checkout,
		};
		const started = startProcess({
			...command,
			env: { ...env, PORT: String(port), ...overrides },
			log: join(folder, `${node}.log`),
		});
		nodes.set(node, started);
	};

	const nodes = new Map<string, Process>();
	const stopNodes = () => Promise.all([...nodes.values()].map(stopProcess));
	const pids: Record<string, number> = {};
	let cluster: Record<string, string> | undefined;
	if (shape === "embedded") {
		onEnd(stopNodes);
		start("node", {});
	} else {
		const nats = await natsMember(folder);
		onEnd(() => nats.member.end());
		const redis = await redisMember(folder);
		onEnd(() => redis.member.end());
		onEnd(stopNodes);
		const clusterEnv = { TRANSPORTER: nats.url, ...(options.caching ? { CACHER: redis.url } : {}) };
		cluster = { ...env, ...clusterEnv };
		for (const service of all.filter((name) => !WITH_GATEWAY.includes(name))) {
			const server = serviceDatabases.find((entry) => entry.service === service)?.server;
			const others = service === "api" ? all.filter((name) => WITH_GATEWAY.includes(name)) : [];
			const serviceEnv = {
				SERVICES: [service, ...others].join(","),
				NODEID: service,
				...(server ? { DATABASE_URL: pattern(server) } : {}),
			};
			start(service === "api" ? "gateway" : service, { ...clusterEnv, ...serviceEnv });
		}
		Object.assign(pids, { nats: nats.member.pid, redis: redis.member.pid });
	}
	const url = `http://127.0.0.1:${port}`;
	const failures = [...nodes.values()].map(({ failure }) => failure);
	await Promise.race([eventually(() => assertHealthy(url)), ...failures]);
	await waitForWords(serviceDatabases.find(({ service }) => service === "products")!);
	const stateReader = shopStateReader(serviceDatabases, history);
	const databases = Map.groupBy(serviceDatabases, ({ server }) => server);
	return {
		name,
		url,
		history,
		serviceDatabases,
		cluster,
		pids: { ...Object.fromEntries([...nodes].map(([node, { pid }]) => [node, pid])), ...pids },
		databases: new Map(
			[...databases].map(([server, own]) => [server, own.map(({ database }) => database)]),
		),
		tokens: () => signTokens(checkout, history),
		...(options.recordStalls ? { readStalls: () => readStalls(stalls, servers) } : {}),
		...stateReader,
	};
}

/** Stalls of the processes that record to `folder`, and of the servers. */
async function readStalls(folder: string, servers: readonly Postgres[]): Promise<Stall[]> {
	const recorded = readdirSync(folder).map((name) =>
		parseStalls(readFileSync(join(folder, name), "utf8")),
	);
	const logged = servers.map(({ log }) => parsePostgresStalls(readFileSync(log, "utf8")));
	return [...recorded, ...logged].flat();
}

/** Stops a process gracefully, and kills it after STOP_TIMEOUT_MS. */
async function stopProcess(node: Process): Promise<void> {
	await Promise.race([node.term(), after(STOP_TIMEOUT_MS)]);
	await node.kill();
}

/** Runs the migrations of the revision under test. */
async function migrate(
	checkout: string,
	server: Postgres,
	pattern: string,
	serviceDatabases: readonly ServiceDatabase[],
): Promise<void> {
	const services = serviceDatabases
		.filter((entry) => entry.server === server)
		.map(({ service }) => service);
	const env = {
		DATABASE_URL: pattern,
		DATABASE_ADMIN_URL: server.url("postgres"),
		SERVICES: services.join(","),
	};
	await promisify(execFile)(process.execPath, ["--no-warnings", "scripts/migrate.ts"], {
		cwd: checkout,
		env,
	});
}

async function assertHealthy(url: string): Promise<void> {
	const ready = await fetch(`${url}/health/ready`, { signal: AbortSignal.timeout(5000) });
	if (!ready.ok) throw new Error(`${url} is not ready: ${await ready.text()}`);
	const health = (await (
		await fetch(`${url}/health`, { signal: AbortSignal.timeout(10_000) })
	).json()) as { status: string };
	if (health.status !== "healthy")
		throw new Error(`${url} is not healthy: ${JSON.stringify(health)}`);
}

/** Time limit for the words of the seed products: 200 products take about 20 ms. */
const WORDS_TIMEOUT_MS = 1_800_000;

/**
 * Waits until the shop has collected the words of the seed products, with which it corrects
 * misspelled searches, so that this work is not part of a measurement. Older revisions do not
 * correct words.
 */
async function waitForWords({ server, database }: ServiceDatabase): Promise<void> {
	const [table] = await server.query<{ id: string | null }>(
		database,
		"select to_regclass('products_with_new_words')::text as id",
	);
	if (!table!.id) return;
	const isEmpty = "select not exists (select from products_with_new_words) as done";
	for (const deadline = Date.now() + WORDS_TIMEOUT_MS; ; await after(200)) {
		const [row] = await server.query<{ done: boolean }>(database, isEmpty);
		if (row!.done) return;
		if (Date.now() > deadline)
			throw new Error("The shop has not collected the words of its products");
	}
}

/** Signs access tokens without logins. Uses the code of the revision that verifies them. */
async function signTokens(checkout: string, history: SeedHistory): Promise<string[]> {
	const lib = join(checkout, "lib");
	// The folder of the module depends on the revision.
	const module = readdirSync(lib, { encoding: "utf8", recursive: true }).find(
		(file) => basename(file) === "access-token.ts",
	);
	if (!module) throw new Error(`${lib} contains no access-token.ts`);
	const { signAccessToken } = (await import(
		join(lib, module)
	)) as typeof import("../../lib/security/access-token.ts");
	return Array.from({ length: Math.min(history.size.users, 200) }, (_, n) => {
		const claims = {
			sub: history.id("user", n),
			email: `buyer${n}@example.com`,
			role: "user",
			session: history.id("session", n),
			version: 1,
		} as const;
		return signAccessToken(claims, JWT_SECRET);
	});
}
