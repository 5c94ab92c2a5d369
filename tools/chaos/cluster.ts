import { execFileSync } from "node:child_process";
import {
	chmodSync,
	existsSync,
	mkdirSync,
	mkdtempSync,
	readFileSync,
	writeFileSync,
} from "node:fs";
import { rm } from "node:fs/promises";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import pg from "pg";
import { databaseUrl } from "../../lib/persistence/database.ts";
import { createDatabases, migrate } from "../../lib/persistence/migrate.ts";
import { hasDatabase, migrationFolders, serviceNames } from "../../lib/settings/node.ts";
import { freePort } from "../../test/support/processes.ts";
import { type Member, member, postgresMember } from "./members.ts";

const root = join(import.meta.dirname, "../..");
export const ADMIN = { email: "admin@example.com", password: "qV7x2mLw9TzR4kNd" };
/** Services of each kind of node. */
export const KINDS = {
	edge: "api,auth,users,products",
	orders: "orders",
	goods: "inventory,shipping",
	money: "payments,notifications",
} as const;
export type Kind = keyof typeof KINDS;
/** Number of nodes of each kind. */
export type Size = Readonly<Record<Kind, number>>;

export interface Cluster {
	readonly members: readonly Member[];
	/** URLs of the gateways. */
	readonly urls: readonly string[];
	/** URLs of the nodes' health ports. */
	readonly health: readonly string[];
	/** Settings of a node that joins this cluster. */
	readonly env: Readonly<Record<string, string>>;
	query<Row extends pg.QueryResultRow>(
		service: string,
		text: string,
		values?: unknown[],
	): Promise<Row[]>;
	/** Starts another node. `preload` is a file that it imports before its own code. */
	add(
		kind: Kind,
		name: string,
		options: { env?: Record<string, string>; preload?: string },
	): Promise<Member>;
	stop(): Promise<void>;
}

/** Path of a server's executable. Debian installs some in folders that are not on every PATH. */
export function findServer(name: string): string | undefined {
	const places = [...(process.env.PATH ?? "").split(delimiter), "/usr/sbin", "/usr/local/sbin"];
	return places.map((place) => join(place, name)).find((file) => existsSync(file));
}
export const missingServers = (): string[] =>
	["nats-server", "redis-server"].filter((name) => !findServer(name));
/** Debian packages of missing servers. */
const packagesOf = (missing: readonly string[]): string[] => [
	...new Set(missing.map((name) => (name === "promtool" ? "prometheus" : name))),
];
export const howToInstall = (missing: readonly string[]): string =>
	`${missing.join(" and ")} not found; on Debian: apt-get install ${packagesOf(missing).join(" ")}`;
/** The reason for skipping a test. */
export function whatIsMissing(missing: readonly string[]): string {
	const packages = packagesOf(missing);
	return `${packages.join(" and ")} ${packages.length > 1 ? "are" : "is"} not installed (apt-get install ${packages.join(" ")})`;
}

/**
 * Starts Postgres, NATS, Redis and the nodes on the loopback interface, in a temporary folder.
 * @param preloads files that every node imports before its own code
 * @param maxPayload `max_payload` of NATS in bytes; by default the value in its configuration
 */
export async function startCluster(
	size: Size,
	preloads: readonly string[],
	say: (line: string) => void,
	maxPayload?: number,
): Promise<Cluster> {
	const folder = mkdtempSync(join(tmpdir(), "moleculer-commerce-chaos-"));
	chmodSync(folder, 0o755);
	const members: Member[] = [];
	const pools = new Map<string, pg.Pool>();
	// The kernel keeps the writes of killed processes, so fsync would only cost time.
	const postgres = await postgresMember({
		dataDir: join(folder, "postgres"),
		settings: { fsync: "off", max_connections: "500" },
	});
	const stop = async () => {
		await Promise.all([...pools.values()].map((pool) => pool.end().catch(() => undefined)));
		await Promise.all(members.map((one) => one.end()));
		await postgres.member.end();
		await rm(folder, { recursive: true, force: true, maxRetries: 10 });
	};
	try {
		const services = serviceNames(join(root, "services")).filter((name) => hasDatabase(root, name));
		const pattern = `postgres://{service}:chaos@${postgres.address}/{service}`;
		await createDatabases(postgres.admin, pattern, services);
		await Promise.all(
			services.map((name) => migrate(databaseUrl(pattern, name), migrationFolders(root, name))),
		);
		const query: Cluster["query"] = async (service, text, values) => {
			const pool =
				pools.get(service) ??
				new pg.Pool({ connectionString: databaseUrl(pattern, service), max: 2 });
			// Each crash of Postgres ends its sessions; the next query opens a new one.
			if (!pools.has(service)) pool.on("error", () => undefined);
			pools.set(service, pool);
			return (await pool.query(text, values)).rows;
		};
		members.push(postgres.member);

		say("Starting NATS, Redis and the nodes …");
		const [nats, redis] = await Promise.all([natsMember(folder, maxPayload), redisMember(folder)]);
		members.push(nats.member, redis.member);
		const env = {
			NODE_ENV: "test",
			LOGLEVEL: "warn",
			TRANSPORTER: nats.url,
			CACHER: redis.url,
			DATABASE_URL: pattern,
			DATABASE_POOL: "8",
			DATA_DIR: join(folder, "data"),
			JWT_SECRET: "sYb3kQ8vXw1ZrT6nUe0cJm5hPq2dLf9a",
			ADMIN_EMAIL: ADMIN.email,
			ADMIN_PASSWORD: ADMIN.password,
			BCRYPT_COST: "4",
			RATE_LIMIT_ENABLED: "false",
			// Retries soon after an outage, and enough of them that no outage exhausts the attempts.
			EVENT_BACKOFF: "0.5,1,2,3,3,3,3,3,3,3,3,3,3,3,3,3,3,3,3,3",
			ORDER_DEADLINE_MS: "15000",
		};
		const urls: string[] = [];
		const health: string[] = [];
		const make = async (
			kind: Kind,
			name: string,
			over: Record<string, string> = {},
			first = preloads,
		) => {
			const port = await freePort();
			health.push(`http://127.0.0.1:${port}`);
			return nodeMember(
				name,
				folder,
				{ ...env, SERVICES: KINDS[kind], NODEID: name, HEALTH_PORT: String(port), ...over },
				first,
			);
		};
		for (const kind of Object.keys(KINDS) as Kind[]) {
			for (let n = 1; n <= size[kind]; n++) {
				const port = await freePort();
				if (kind === "edge") urls.push(`http://127.0.0.1:${port}`);
				members.push(await make(kind, `${kind}-${n}`, { PORT: String(port) }));
			}
		}
		await Promise.all(members.filter(({ kind }) => kind === "node").map((one) => one.start()));
		const add: Cluster["add"] = async (kind, name, { env, preload }) => {
			const node = await make(kind, name, env, [...preloads, ...(preload ? [preload] : [])]);
			members.push(node);
			await node.start();
			return node;
		};
		return { members, urls, health, env, query, add, stop };
	} catch (error) {
		await stop();
		throw error;
	}
}

function nodeMember(
	name: string,
	folder: string,
	env: Record<string, string>,
	preloads: readonly string[],
): Member {
	const args = [
		"--no-warnings",
		...preloads.flatMap((file) => ["--import", file]),
		join(root, "scripts/start.ts"),
		"--quiet",
	];
	return member(
		"node",
		{ name, file: process.execPath, args, env, log: join(folder, `${name}.log`) },
		async () => {
			const response = await fetch(`http://127.0.0.1:${env.HEALTH_PORT}/health/ready`, {
				signal: AbortSignal.timeout(2000),
			});
			if (!response.ok) throw new Error(`${name} is not ready`);
		},
	);
}

/** NATS configuration, shared with the deployments. */
export const NATS_CONFIG = "k8s/components/nats/nats.conf";
/**
 * Writes the NATS configuration into a folder, without host settings and without settings that an
 * older server does not support.
 * @param maxPayload overrides `max_payload`, in bytes
 * @param store overrides the size of JetStream's store
 * @returns the server's command-line arguments
 */
export function natsArguments(
	file: string,
	folder: string,
	port: number,
	maxPayload?: number,
	store?: string,
): string[] {
	const [, major = 0, minor = 0] =
		/v(\d+)\.(\d+)/.exec(execFileSync(file, ["--version"], { encoding: "utf8" }))?.map(Number) ??
		[];
	const unsupported =
		major > 2 || minor >= 10
			? /^\s*(server_name|http_port|store_dir):.*$/gm
			: /^\s*(server_name|http_port|store_dir|sync_interval):.*$/gm;
	const config = join(folder, "nats.conf");
	const text = readFileSync(join(root, NATS_CONFIG), "utf8")
		.replace(unsupported, "")
		.replace(/^max_payload:.*$/m, (line) => (maxPayload ? `max_payload: ${maxPayload}` : line))
		.replace(/^\s*max_file_store:.*$/m, (line) => (store ? `max_file_store: ${store}` : line));
	writeFileSync(config, text);
	return ["-c", config, "-a", "127.0.0.1", "-p", String(port), "-sd", join(folder, "jetstream")];
}

/** Starts NATS. @param folder of its configuration and log, and of JetStream in `jetstream` */
export async function natsMember(folder: string, maxPayload?: number) {
	const port = await freePort();
	const file = findServer("nats-server")!;
	mkdirSync(join(folder, "jetstream"));
	const args = natsArguments(file, folder, port, maxPayload);
	const made = member("nats", { name: "nats", file, args, log: join(folder, "nats.log") }, () =>
		greeting(port, "", /^INFO /),
	);
	await made.start();
	return { member: made, url: `nats://127.0.0.1:${port}` };
}

/** Starts Redis without persistence. @param folder of its log */
export async function redisMember(folder: string) {
	const port = await freePort();
	const args = [
		"--bind",
		"127.0.0.1",
		"--port",
		String(port),
		"--dir",
		folder,
		"--save",
		"",
		"--appendonly",
		"no",
	];
	const command = {
		name: "redis",
		file: findServer("redis-server")!,
		args,
		log: join(folder, "redis.log"),
	};
	const made = member("redis", command, () => greeting(port, "PING\r\n", /^\+PONG/));
	await made.start();
	return { member: made, url: `redis://127.0.0.1:${port}` };
}

/** Connects to a server, sends `request`, and fails unless the first response matches. */
function greeting(port: number, request: string, expected: RegExp): Promise<void> {
	const { promise, resolve, reject } = Promise.withResolvers<void>();
	const socket = connect(port, "127.0.0.1", () => socket.write(request));
	socket.setTimeout(1000, () => socket.destroy(new Error("no response")));
	socket.once("data", (data) => {
		if (expected.test(data.toString())) resolve();
		else reject(new Error(`Unexpected response: ${data}`));
		socket.destroy();
	});
	socket.once("error", reject);
	return promise;
}
