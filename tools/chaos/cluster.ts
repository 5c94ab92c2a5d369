import { chmodSync, mkdtempSync } from "node:fs";
import { rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import pg from "pg";
import { databaseUrl } from "../../lib/persistence/database.ts";
import { createDatabases, migrate } from "../../lib/persistence/migrate.ts";
import { hasDatabase, migrationFolders, serviceNames } from "../../lib/settings/node.ts";
import { freePort } from "../../test/support/processes.ts";
import { type Member, member, postgresMember } from "./members.ts";
import { natsMember, redisMember } from "./servers.ts";

const root = join(import.meta.dirname, "../..");
export const ADMIN = { email: "admin@example.com", password: "qV7x2mLw9TzR4kNd" };
/** Services of each kind of node. */
export const KINDS = {
	edge: "api,operations,auth,users,products",
	orders: "orders",
	goods: "inventory,shipping,carts",
	money: "payments,notifications,promotions,tax",
} as const;
export type Kind = keyof typeof KINDS;
/** Number of nodes of each kind. */
export type Size = Readonly<Record<Kind, number>>;

export interface ClusterOptions {
	/** `max_payload` of NATS in bytes; by default the value in its configuration. */
	readonly maxPayload?: number | undefined;
	/** Settings of all nodes in addition to those of the cluster. */
	readonly env?: Readonly<Record<string, string>> | undefined;
	/** Receives the function that stops the cluster, before anything is started. */
	readonly onStart?: ((stop: () => Promise<void>) => void) | undefined;
}

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
	stop(): Promise<void>;
}

/**
 * Starts Postgres, NATS, Redis and the nodes on the loopback interface, in a temporary folder.
 * @param preloads files that every node imports before its own code
 */
export async function startCluster(
	size: Size,
	preloads: readonly string[],
	print: (line: string) => void,
	{ maxPayload, env: settings, onStart }: ClusterOptions = {},
): Promise<Cluster> {
	const folder = mkdtempSync(join(tmpdir(), "moleculer-commerce-chaos-"));
	chmodSync(folder, 0o755);
	const members: Member[] = [];
	const pools = new Map<string, pg.Pool>();
	let postgres: Awaited<ReturnType<typeof postgresMember>> | undefined;
	const stopOnce = async () => {
		await Promise.all([...pools.values()].map((pool) => pool.end().catch(() => undefined)));
		await Promise.all(members.map((one) => one.end()));
		await postgres?.member.end();
		await rm(folder, { recursive: true, force: true, maxRetries: 10 });
	};
	let stopping: Promise<void> | undefined;
	const stop = () => {
		stopping ??= stopOnce();
		return stopping;
	};
	onStart?.(stop);
	try {
		postgres = await postgresMember(join(folder, "postgres"));
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

		print("Starting NATS, Redis and the nodes …");
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
			...settings,
		};
		const urls: string[] = [];
		const health: string[] = [];
		for (const kind of Object.keys(KINDS) as Kind[]) {
			for (let n = 1; n <= size[kind]; n++) {
				const [port, healthPort] = [await freePort(), await freePort()];
				if (kind === "edge") urls.push(`http://127.0.0.1:${port}`);
				health.push(`http://127.0.0.1:${healthPort}`);
				const name = `${kind}-${n}`;
				const own = {
					SERVICES: KINDS[kind],
					NODEID: name,
					PORT: String(port),
					HEALTH_PORT: String(healthPort),
				};
				members.push(nodeMember(name, folder, { ...env, ...own }, preloads));
			}
		}
		await Promise.all(members.filter(({ kind }) => kind === "node").map((one) => one.start()));
		return { members, urls, health, env, query, stop };
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
