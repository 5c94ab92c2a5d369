import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { type BrokerOptions, ServiceBroker, type ServiceSchema } from "moleculer";
import { StartError } from "../process/start-error.ts";
import { type Env, provideEnv } from "./env.ts";

/** The services that there are: folder = service name = file prefix. */
export const serviceNames = (folder: string): string[] =>
	readdirSync(folder, { withFileTypes: true }).flatMap((entry) =>
		entry.isDirectory() ? [entry.name] : [],
	);

/** Which of them a process runs, by its SERVICES setting. */
export function selectedServices(folder: string, chosen: string): string[] {
	const all = serviceNames(folder);
	const wanted = chosen
		.split(",")
		.map((name) => name.trim())
		.filter(Boolean);
	const unknown = wanted.filter((name) => !all.includes(name));
	if (unknown.length > 0)
		throw new StartError(`SERVICES names ${unknown.join(", ")}; there are ${all.join(", ")}`);
	return wanted.length > 0 ? wanted : all;
}

/** The schema of one service. */
export async function loadService(folder: string, name: string): Promise<ServiceSchema> {
	const module = (await import(pathToFileURL(join(folder, name, `${name}.service.ts`)).href)) as {
		default: ServiceSchema;
	};
	return module.default;
}

/** A broker with the given services, not yet started. */
export function createNode(
	options: BrokerOptions,
	env: Env,
	services: readonly ServiceSchema[],
): ServiceBroker {
	const broker = new ServiceBroker(options);
	provideEnv(broker, env);
	for (const schema of services) broker.createService(schema);
	return broker;
}

/** Where the migrations of a service are: what all services share, then its own. */
export const migrationFolders = (root: string, service: string): string[] => [
	join(root, "mixins/migrations"),
	join(root, "services", service, "migrations"),
];
/** Whether a service has a database: those do that have migrations. */
export const hasDatabase = (root: string, service: string): boolean =>
	existsSync(join(root, "services", service, "migrations"));
