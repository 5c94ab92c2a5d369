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
import { assertRoutes, send } from "./http.ts";
import { type Postgres, startPostgres } from "./postgres.ts";
import { freePort, type Process, startProcess } from "./processes.ts";
import { type Server, startNats, startRedis } from "./servers.ts";
import { testSettings } from "./settings.ts";
import type { Shop } from "./shop.ts";

/** Child process that runs some of the services. */
export interface ClusterNode {
	readonly process: Process;
	/** Node ID in the registry. */
	readonly id: string;
	/** Address of its gateway, if it runs one. */
	readonly url: string;
}
/** Cluster of real processes: servers, nodes of tests, and an observing node in this process. */
export interface Cluster extends Pick<Shop, "call" | "http"> {
	readonly nats: Server;
	readonly redis: Server;
	/** Server of this cluster only, if requested. */
	readonly postgres: Postgres | undefined;
	readonly databases: Databases;
	/** Settings for an additional node. */
	readonly env: Readonly<Record<string, string>>;
	/** Node in this process that makes calls and runs the stubs. */
	readonly broker: ServiceBroker;
	/**
	 * Starts a node and waits until its services are registered and every gateway has their routes.
	 * @param folder of the program, for another version
	 */
	start(
		name: string,
		services: readonly string[],
		env?: Record<string, string>,
		folder?: string,
	): Promise<ClusterNode>;
	/** Whether the registry lists the node as available. */
	has(node: ClusterNode): boolean;
	/** Logs of all nodes. */
	log(): string;
	stop(): Promise<void>;
}

/**
 * Starts NATS, Redis and databases for the services. If KEEP_LOGS is set, the logs are kept.
 * @param options.services that any node will run
 * @param options.stubs run in this process
 * @param options.postgres starts a separate Postgres, which tests can stop
 * @param options.maxPayload of NATS in bytes, instead of the configured value
 */
export async function startCluster(options: {
	services: readonly string[];
	stubs?: ServiceSchema[];
	env?: Record<string, string>;
	postgres?: boolean;
	maxPayload?: number;
}): Promise<Cluster> {
	const folder = mkdtempSync(join(tmpdir(), "moleculer-commerce-cluster-"));
	const cleanups: (() => Promise<unknown>)[] = [() => clearFolder(folder)];
	async function stop(): Promise<void> {
		for (const cleanUp of cleanups.splice(0).reverse()) await cleanUp();
	}
	const track = async <T>(
		opening: Promise<T>,
		close: (resource: T) => Promise<unknown>,
	): Promise<T> => {
		const result = await opening;
		cleanups.push(() => close(result));
		return result;
	};
	try {
		const nats = await track(startNats(folder, { maxPayload: options.maxPayload }), (server) =>
			server.stop(),
		);
		const redis = await track(startRedis(folder), (server) => server.stop());
		const withDatabase = options.services.filter((name) => domains.includes(name));
		const postgres = options.postgres
			? await track(startPostgres(folder), (server) => server.end())
			: undefined;
		const databases = await track(makeDatabases(withDatabase, postgres?.url), (all) => all.drop());
		const source: Record<string, string> = {
			...testSettings,
			TRANSPORTER: nats.url,
			CACHER: redis.url,
			DATABASE_URL: databases.pattern,
			DATA_DIR: folder,
			...options.env,
		};
		const observer = readEnv({
			...source,
			LOGLEVEL: process.env.LOGLEVEL ?? "fatal",
			NODEID: "observer",
		});
		const broker = await track(startObserver(observer, options.stubs ?? []), (node) => node.stop());
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
					(cleanUp) => cleanups.push(cleanUp),
				);
				nodes.push(node);
				if (services.includes("api")) gateways.push(node);
				await Promise.all(gateways.map((gateway) => waitForRoutes(gateway, broker)));
				return node;
			},
			has: (node) => isAvailable(node, broker),
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
	/** Folder of the program. */
	readonly program: string;
	readonly log: string;
}
async function startNode(
	broker: ServiceBroker,
	{ name, services, env, program, log }: NodeOptions,
	onCleanup: (cleanUp: () => Promise<unknown>) => void,
): Promise<ClusterNode> {
	const port = await freePort();
	// A node of the same name that was killed may still be registered.
	const earlier = new Set(broker.registry.getNodeList({}).map(({ id }) => id));
	const process = startProcess({
		name,
		file: globalThis.process.execPath,
		args: [join(program, "scripts/start.ts"), "--quiet"],
		env: { ...env, NODEID: name, SERVICES: services.join(","), PORT: String(port) },
		log,
	});
	onCleanup(() => process.kill());
	const registered = eventually(() => {
		const found = broker.registry
			.getServiceList({ onlyAvailable: true, skipInternal: true })
			.filter(({ nodeID }) => nodeID?.startsWith(`${name}-`) && !earlier.has(nodeID));
		const missing = services.filter((service) => !found.some((one) => one.name === service));
		if (missing.length > 0)
			throw new Error(`${name} has no ${missing.join(", ")} yet:\n${process.log().slice(-3000)}`);
		return found[0]!.nodeID!;
	});
	return {
		process,
		id: await Promise.race([registered, process.failure]),
		url: `http://127.0.0.1:${port}`,
	};
}

const isAvailable = ({ id }: ClusterNode, { registry }: ServiceBroker): boolean =>
	registry.getNodeList({ onlyAvailable: true }).some((node) => node.id === id);

/** Waits until a gateway, unless it has ended, has routes of every available service. */
async function waitForRoutes(gateway: ClusterNode, broker: ServiceBroker): Promise<void> {
	const actions = broker.registry.getActionList({ onlyAvailable: true });
	const published = actions.flatMap(({ name, action }) => {
		const { rest, visibility } = action as { rest?: string; visibility?: string };
		return rest && visibility === "published" ? [name] : [];
	});
	const services = new Set(published.map((name) => name.split(".")[0]!));
	await eventually(async () => {
		if (!isAvailable(gateway, broker)) return;
		await assertRoutes(gateway.url, services);
	});
}

async function clearFolder(folder: string): Promise<void> {
	if (process.env.KEEP_LOGS) process.stderr.write(`The logs are in ${folder}\n`);
	else await rm(folder, { recursive: true, force: true });
}
