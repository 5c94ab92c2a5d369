import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync } from "node:fs";
import { rm } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { setTimeout as after } from "node:timers/promises";
import pg from "pg";
import { databaseUrl } from "../lib/database.ts";
import { startEmbeddedPostgres } from "../lib/embedded-postgres.ts";
import { createDatabases, migrate } from "../lib/migrate.ts";
import { migrationFolders, serviceNames } from "../lib/node.ts";

const here = join(import.meta.dirname, "..");

/** One server under test: where it answers, and the processes whose time counts. */
export interface Target {
	readonly name: string;
	readonly url: string;
	/** Process groups by name; Postgres comes on top. */
	readonly pids: Readonly<Record<string, number>>;
	stop(): Promise<void>;
}
export interface Postgres {
	readonly pid: number;
	readonly admin: string;
	/** A connection to one of its databases. */
	client(database: string): Promise<pg.Client>;
	database(name: string): Promise<string>;
	stop(): Promise<void>;
}

/** A Postgres of the benchmark's own, durable as in production, shared by all targets so that they meet the same one. */
export async function startPostgres(): Promise<Postgres> {
	const folder = mkdtempSync(join(tmpdir(), "moleculer-commerce-bench-"));
	const server = await startEmbeddedPostgres({
		dataDir: folder,
		settings: { shared_buffers: "512MB", max_wal_size: "4GB", shared_preload_libraries: "pg_stat_statements" },
	});
	const at = (database: string) => `postgres://${server.user}:${server.password}@${server.host}:${server.port}/${database}`;
	const admin = new pg.Client({ connectionString: at("postgres") });
	await admin.connect();
	await admin.query("create extension pg_stat_statements");
	await admin.end();
	const client = async (database: string) => {
		const made = new pg.Client({ connectionString: at(database) });
		await made.connect();
		return made;
	};
	return {
		pid: server.pid,
		admin: at("postgres"),
		client,
		async database(name) {
			const admin = await client("postgres");
			await admin.query(`create database ${name}`);
			await admin.end();
			return at(name);
		},
		async stop() {
			await server.stop();
			await rm(folder, { recursive: true, force: true });
		},
	};
}

export const ADMIN = { email: "admin@example.com", password: "qV7x2mLw9TzR4kNd" };

async function freePort(): Promise<number> {
	const server = createServer().listen(0, "127.0.0.1");
	await new Promise((resolve) => server.once("listening", resolve));
	const { port } = server.address() as { port: number };
	await new Promise((resolve) => server.close(resolve));
	return port;
}

function start(script: string[], env: Record<string, string>, cwd: string): ChildProcess {
	return spawn(process.execPath, script, { cwd, env: { PATH: process.env.PATH, ...env }, stdio: ["ignore", "pipe", "inherit"] });
}
async function end(child: ChildProcess): Promise<void> {
	if (child.exitCode !== null || child.signalCode !== null) return;
	const gone = new Promise((resolve) => child.once("exit", resolve));
	child.kill("SIGTERM");
	await Promise.race([gone, after(10_000)]);
	child.kill("SIGKILL");
	await gone;
}

/** The shop, from the checkout in `folder`: everything in one process. With `profile`, a folder, it leaves its CPU profile there as it ends. */
export async function startShop(postgres: Postgres, name: string, profile?: string, folder = here): Promise<Target> {
	const services = serviceNames(join(folder, "services")).filter((service) => service !== "api");
	const { host } = new URL(postgres.admin);
	const pattern = `postgres://{service}:secret@${host}/${name}_{service}`;
	await createDatabases(postgres.admin, pattern, services);
	await Promise.all(services.map((service) => migrate(databaseUrl(pattern, service), migrationFolders(folder, service))));
	const port = await freePort();
	const data = mkdtempSync(join(tmpdir(), "moleculer-commerce-bench-data-"));
	const env = {
		NODE_ENV: "production",
		LOGLEVEL: "warn",
		DATA_DIR: data,
		DATABASE_URL: pattern,
		PORT: String(port),
		JWT_SECRET: "sYb3kQ8vXw1ZrT6nUe0cJm5hPq2dLf9a",
		ADMIN_EMAIL: ADMIN.email,
		ADMIN_PASSWORD: ADMIN.password,
		RATE_LIMIT_ENABLED: "false",
	};
	const child = start([...(profile ? ["--cpu-prof", `--cpu-prof-dir=${profile}`] : []), "scripts/start.ts", "--quiet"], env, folder);
	child.stdout?.resume();
	const url = `http://127.0.0.1:${port}`;
	await ready(url, child);
	return {
		name,
		url,
		pids: { node: child.pid! },
		async stop() {
			await end(child);
			await rm(data, { recursive: true, force: true });
		},
	};
}

/** The floor server; answers the ids of its products too. */
export async function startFloor(postgres: Postgres): Promise<Target & { products: string[] }> {
	const child = start(["bench/floor.ts", await postgres.database("floor")], {}, here);
	const line = await new Promise<string>((resolve, reject) => {
		createInterface({ input: child.stdout! }).once("line", resolve);
		child.once("exit", () => reject(new Error("The floor server did not start")));
	});
	const { port, products } = JSON.parse(line) as { port: number; products: string[] };
	return { name: "floor", url: `http://127.0.0.1:${port}`, pids: { node: child.pid! }, products, stop: () => end(child) };
}

async function ready(url: string, child: ChildProcess): Promise<void> {
	for (let tries = 0; tries < 600; tries++) {
		if (child.exitCode !== null) throw new Error("The shop did not start");
		const answer = await fetch(`${url}/health/ready`).catch(() => undefined);
		if (answer?.ok) return;
		await after(50);
	}
	throw new Error("The shop was not ready within 30 s");
}
