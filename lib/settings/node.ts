import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { type BrokerOptions, ServiceBroker, type ServiceSchema } from "moleculer";
import { StartError } from "../process/start-error.ts";
import { type Env, provideEnv } from "./env.ts";

/** Names of all services: the folders in `folder`. */
export const serviceNames = (folder: string): string[] =>
	readdirSync(folder, { withFileTypes: true }).flatMap((entry) =>
		entry.isDirectory() ? [entry.name] : [],
	);

/** Services selected by the setting SERVICES. @throws StartError for an unknown name */
export function selectedServices(folder: string, selection: string): string[] {
	const all = serviceNames(folder);
	const selected = selection
		.split(",")
		.map((name) => name.trim())
		.filter(Boolean);
	const unknown = selected.filter((name) => !all.includes(name));
	if (unknown.length > 0)
		throw new StartError(
			`SERVICES contains unknown names: ${unknown.join(", ")}; valid names are ${all.join(", ")}`,
		);
	return selected.length > 0 ? selected : all;
}

/** Loads the schema of a service. */
export async function loadService(folder: string, name: string): Promise<ServiceSchema> {
	const module = (await import(pathToFileURL(join(folder, name, `${name}.service.ts`)).href)) as {
		default: ServiceSchema;
	};
	return module.default;
}

/** Creates a broker with the given services without starting it. */
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

/** Migration folders of a service: the shared one, then its own. */
export const migrationFolders = (root: string, service: string): string[] => [
	join(root, "mixins/migrations"),
	join(root, "services", service, "migrations"),
];
/** Whether a service has a database, which is the case if it has migrations. */
export const hasDatabase = (root: string, service: string): boolean =>
	existsSync(join(root, "services", service, "migrations"));
