import { execFile } from "node:child_process";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as after } from "node:timers/promises";
import { promisify } from "node:util";
import { natsMember, redisMember } from "../chaos/cluster.ts";
import { hasDatabase, serviceNames } from "../lib/node.ts";
import { freePort, type Process, startProcess } from "../test/support/processes.ts";
import type { SeedHistory } from "./past.ts";
import type { Postgres } from "./postgres.ts";
import { shopStateReader } from "./shop-books.ts";
import { insertSeedHistory, type ServiceDatabase } from "./shop-past.ts";
import { eventually, type Target } from "./target.ts";

export type Shape = "embedded" | "cluster";
export interface ShopOptions {
	readonly name: string;
	readonly shape: Shape;
	/** The checkout that it is started from. */
	readonly checkout: string;
	/** For its data and logs. */
	readonly folder: string;
	/** Services are spread over them, one after the other. */
	readonly servers: readonly Postgres[];
	readonly history: SeedHistory;
	/** Where it leaves CPU profiles as it ends. */
	readonly profile?: string | undefined;
	/** Whether the nodes of a cluster cache anything. */
	readonly caching: boolean;
	/** More settings of its processes. */
	readonly env?: Readonly<Record<string, string>> | undefined;
	onRows?(n: number): void;
	/** Is told at once of everything that has to be stopped. */
	onEnd(stop: () => Promise<unknown>): void;
}

const STOP_TIMEOUT_MS = 8000;
const JWT_SECRET = "sYb3kQ8vXw1ZrT6nUe0cJm5hPq2dLf9a";
/** Those at work on an order first, so that two servers get half of them each. */
const ORDER_PATH = ["orders", "inventory", "payments", "shipping", "notifications", "users", "products", "auth"];
const rank = (service: string) => (ORDER_PATH.indexOf(service) + ORDER_PATH.length + 1) % (ORDER_PATH.length + 1);

export interface Shop extends Target {
	readonly serviceDatabases: readonly ServiceDatabase[];
	/** With which a node would join; undefined where there is no cluster. */
	readonly cluster: Readonly<Record<string, string>> | undefined;
}

/** Starts a shop as production would, on new databases that have a history. */
export async function startShop(options: ShopOptions): Promise<Shop> {
	const { name, shape, checkout, servers, history, onEnd } = options;
	const folder = join(options.folder, name.replace(/\W/g, "_"));
	mkdirSync(folder);
	const all = serviceNames(join(checkout, "services"));
	const prefix = `${name.replace(/\W/g, "_").toLowerCase()}_`;
	const serviceDatabases = all
		.filter((service) => hasDatabase(checkout, service))
		.sort((a, b) => rank(a) - rank(b))
		.map((service, n): ServiceDatabase => ({ service, server: servers[n % servers.length]!, database: prefix + service }));
	const pattern = ({ address }: Postgres) => `postgres://{service}:secret@${address}/${prefix}{service}`;
	await Promise.all(servers.map((server) => migrate(checkout, server, pattern(server), serviceDatabases)));
	await insertSeedHistory(history, serviceDatabases, options.onRows);

	const env = {
		NODE_ENV: "production",
		LOGLEVEL: "warn",
		DATA_DIR: join(folder, "data"),
		DATABASE_URL: pattern(servers[0]!),
		JWT_SECRET: JWT_SECRET,
		ADMIN_EMAIL: "admin@example.com",
		ADMIN_PASSWORD: "qV7x2mLw9TzR4kNd",
		RATE_LIMIT_ENABLED: "false",
		...options.env,
	};
	const args = ["--no-warnings", ...(options.profile ? ["--cpu-prof", `--cpu-prof-dir=${options.profile}`] : [])];
	const port = await freePort();
	const start = (node: string, over: Record<string, string>): void => {
		const command = { name: node, file: process.execPath, args: [...args, "scripts/start.ts", "--quiet"], cwd: checkout };
		const made = startProcess({ ...command, env: { ...env, PORT: String(port), ...over }, log: join(folder, `${node}.log`) });
		nodes.set(node, made);
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
		const joining = { TRANSPORTER: nats.url, ...(options.caching ? { CACHER: redis.url } : {}) };
		cluster = { ...env, ...joining };
		for (const service of all) {
			const server = serviceDatabases.find((entry) => entry.service === service)?.server;
			const own = { SERVICES: service, NODEID: service, ...(server ? { DATABASE_URL: pattern(server) } : {}) };
			start(service === "api" ? "gateway" : service, { ...joining, ...own });
		}
		Object.assign(pids, { nats: nats.member.pid, redis: redis.member.pid });
	}
	const url = `http://127.0.0.1:${port}`;
	const failures = [...nodes.values()].map(({ failure }) => failure);
	await Promise.race([eventually(() => assertHealthy(url)), ...failures]);
	const books = shopStateReader(serviceDatabases, history);
	const databases = Map.groupBy(serviceDatabases, ({ server }) => server);
	return {
		name,
		url,
		history,
		serviceDatabases,
		cluster,
		pids: { ...Object.fromEntries([...nodes].map(([node, { pid }]) => [node, pid])), ...pids },
		databases: new Map([...databases].map(([server, own]) => [server, own.map(({ database }) => database)])),
		tokens: () => signTokens(checkout, history),
		...books,
	};
}

/** Lets it drain, and does not wait for ever. */
async function stopProcess(node: Process): Promise<void> {
	await Promise.race([node.term(), after(STOP_TIMEOUT_MS)]);
	await node.kill();
}

/** With the program that this revision has for it. */
async function migrate(checkout: string, server: Postgres, pattern: string, serviceDatabases: readonly ServiceDatabase[]): Promise<void> {
	const services = serviceDatabases.filter((entry) => entry.server === server).map(({ service }) => service);
	const env = { DATABASE_URL: pattern, DATABASE_ADMIN_URL: server.url("postgres"), SERVICES: services.join(",") };
	await promisify(execFile)(process.execPath, ["--no-warnings", "scripts/migrate.ts"], { cwd: checkout, env });
}

async function assertHealthy(url: string): Promise<void> {
	const ready = await fetch(`${url}/health/ready`, { signal: AbortSignal.timeout(5000) });
	if (!ready.ok) throw new Error(`${url} is not ready: ${await ready.text()}`);
	const health = (await (await fetch(`${url}/health`, { signal: AbortSignal.timeout(10_000) })).json()) as { status: string };
	if (health.status !== "healthy") throw new Error(`${url} is not healthy: ${JSON.stringify(health)}`);
}

/** Tokens as a login would give them, without a hash for each. Signed by the revision that is to believe them. */
async function signTokens(checkout: string, history: SeedHistory): Promise<string[]> {
	const { signAccessToken } = (await import(join(checkout, "lib/access-token.ts"))) as typeof import("../lib/access-token.ts");
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
