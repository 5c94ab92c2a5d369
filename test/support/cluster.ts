import { mkdtempSync } from "node:fs";
import { rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { ServiceBroker, ServiceSchema } from "moleculer";
import type { Call } from "../../lib/contracts/contract.ts";
import { type Env, readEnv } from "../../lib/settings/env.ts";
import { createNode } from "../../lib/settings/node.ts";
import { checkReturns } from "../../middlewares/check-returns.ts";
import { brokerOptions } from "../../moleculer.config.ts";
import { type Databases, domains, makeDatabases, root } from "./databases.ts";
import { eventually } from "./eventually.ts";
import { send } from "./http.ts";
import { type Postgres, startPostgres } from "./postgres.ts";
import { freePort, type Process, startProcess } from "./processes.ts";
import { type Server, startNats, startRedis } from "./servers.ts";
import type { Shop } from "./shop.ts";

/** Some of the shop's services in a process of their own. */
export interface ClusterNode {
	readonly process: Process;
	/** As the registry knows it. */
	readonly id: string;
	/** The address of its gateway, where it runs one. */
	readonly url: string;
}
/** A cluster of real processes: servers, and nodes that tests start, and a node in this process that looks on. */
export interface Cluster extends Pick<Shop, "call" | "http"> {
	readonly nats: Server;
	readonly redis: Server;
	/** Its own, where that was asked for. */
	readonly postgres: Postgres | undefined;
	readonly databases: Databases;
	/** Settings with which one more node joins. */
	readonly env: Readonly<Record<string, string>>;
	/** The node in this process: it calls, and runs the stubs. */
	readonly broker: ServiceBroker;
	/** Starts a node, and waits until its services are seen. @param folder of the program; another one has another version of it */
	start(
		name: string,
		services: readonly string[],
		env?: Record<string, string>,
		folder?: string,
	): Promise<ClusterNode>;
	/** Whether the registry still has a node. */
	has(node: ClusterNode): boolean;
	/** What all its nodes have written. */
	log(): string;
	stop(): Promise<void>;
}

/** How long a node may take on a machine that is busy with other tests. */
const START_SECONDS = 40;

/**
 * Starts NATS, Redis, and databases for these services; with KEEP_LOGS set, the logs of all processes are left behind.
 * @param options.services those that will run somewhere
 * @param options.stubs run in this process
 * @param options.postgres whether to start one for this cluster alone, which can be stopped
 * @param options.maxPayload of NATS, in bytes; that of its configuration unless given
 */
export async function startCluster(options: {
	services: readonly string[];
	stubs?: ServiceSchema[];
	env?: Record<string, string>;
	postgres?: boolean;
	maxPayload?: number;
}): Promise<Cluster> {
	const folder = mkdtempSync(join(tmpdir(), "moleculer-commerce-cluster-"));
	const ends: (() => Promise<unknown>)[] = [() => clearFolder(folder)];
	async function stop(): Promise<void> {
		for (const end of ends.splice(0).reverse()) await end();
	}
	const opened = async <T>(
		opening: Promise<T>,
		end: (opened: T) => Promise<unknown>,
	): Promise<T> => {
		const result = await opening;
		ends.push(() => end(result));
		return result;
	};
	try {
		const nats = await opened(startNats(folder, options.maxPayload), (server) => server.stop());
		const redis = await opened(startRedis(folder), (server) => server.stop());
		const kept = options.services.filter((name) => domains.includes(name));
		const postgres = options.postgres
			? await opened(startPostgres(folder), (server) => server.end())
			: undefined;
		const databases = await opened(makeDatabases(kept, postgres?.url), (all) => all.drop());
		const source: Record<string, string> = {
			NODE_ENV: "test",
			TRANSPORTER: nats.url,
			CACHER: redis.url,
			DATABASE_URL: databases.pattern,
			DATABASE_POOL: "5",
			DATA_DIR: folder,
			BCRYPT_COST: "4",
			JWT_SECRET: "a secret for tests only, long enough to be one",
			...options.env,
		};
		const observer = readEnv({
			...source,
			LOGLEVEL: process.env.LOGLEVEL ?? "fatal",
			NODEID: "observer",
		});
		const broker = await opened(startObserver(observer, options.stubs ?? []), (node) =>
			node.stop(),
		);
		const nodes: ClusterNode[] = [];
		const gateways: ClusterNode[] = [];
		return {
			nats,
			redis,
			postgres,
			databases,
			env: source,
			broker,
			call: broker.call.bind(broker) as unknown as Call,
			http: (request, init) => send(gateways[0]!.url, request, init),
			async start(name, services, env = {}, program = root) {
				const log = join(folder, `${name}.log`);
				const node = await startNode(
					broker,
					{ name, services, env: { ...source, ...env }, program, log },
					(end) => ends.push(end),
				);
				nodes.push(node);
				if (services.includes("api")) gateways.push(node);
				return node;
			},
			has: ({ id }) =>
				broker.registry.getNodeList({ onlyAvailable: true }).some((node) => node.id === id),
			log: () => nodes.map(({ process }) => process.log()).join("\n"),
			stop,
		};
	} catch (error) {
		await stop();
		throw error;
	}
}

async function startObserver(env: Env, stubs: ServiceSchema[]): Promise<ServiceBroker> {
	const options = brokerOptions(env);
	const broker = createNode(
		{ ...options, middlewares: [...options.middlewares!, checkReturns] },
		env,
		stubs,
	);
	await broker.start();
	return broker;
}

interface NodeOptions {
	readonly name: string;
	readonly services: readonly string[];
	readonly env: Record<string, string>;
	/** The folder that it is in. */
	readonly program: string;
	readonly log: string;
}
async function startNode(
	broker: ServiceBroker,
	{ name, services, env, program, log }: NodeOptions,
	onEnd: (end: () => Promise<unknown>) => void,
): Promise<ClusterNode> {
	const port = await freePort();
	const process = startProcess({
		name,
		file: globalThis.process.execPath,
		args: [join(program, "scripts/start.ts"), "--quiet"],
		env: { ...env, NODEID: name, SERVICES: services.join(","), PORT: String(port) },
		log,
	});
	onEnd(() => process.kill());
	const seen = eventually(() => {
		const found = broker.registry
			.getServiceList({ onlyAvailable: true, skipInternal: true })
			.filter(({ nodeID }) => nodeID?.startsWith(`${name}-`));
		const missing = services.filter((service) => !found.some((one) => one.name === service));
		if (missing.length > 0)
			throw new Error(`${name} has no ${missing.join(", ")} yet:\n${process.log().slice(-3000)}`);
		return found[0]!.nodeID!;
	}, START_SECONDS);
	return {
		process,
		id: await Promise.race([seen, process.failure]),
		url: `http://127.0.0.1:${port}`,
	};
}

async function clearFolder(folder: string): Promise<void> {
	if (process.env.KEEP_LOGS) process.stderr.write(`The logs are in ${folder}\n`);
	else await rm(folder, { recursive: true, force: true });
}
