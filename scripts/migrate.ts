import { join } from "node:path";
import { databaseUrl } from "../lib/database.ts";
import { type Env, readEnv } from "../lib/env.ts";
import { createDatabases, migrate, pendingMigrations, revert } from "../lib/migrate.ts";
import { chosenServices, hasDatabase, migrationFolders } from "../lib/node.ts";
import { run } from "../lib/program.ts";
import { StartError } from "../lib/start-error.ts";

const root = join(import.meta.dirname, "..");
const USAGE = 'say "up" (the default), "status", or "down SERVICE", which takes back the newest migration of one service';

type Step = (url: string, folders: readonly string[]) => Promise<string[]>;

/** Does the same with each service's database in turn and tells what came of it. */
async function each(services: readonly string[], pattern: string, step: Step, done: string, nothing: string): Promise<void> {
	for (const service of services) {
		const names = await step(databaseUrl(pattern, service), migrationFolders(root, service));
		console.log(`${service}: ${names.length > 0 ? `${done} ${names.join(", ")}` : nothing}`);
	}
}

async function carryOut([command = "up", service, ...rest]: string[], env: Env): Promise<void> {
	const { DATABASE_URL, DATABASE_ADMIN_URL } = env;
	if (!DATABASE_URL) throw new StartError("DATABASE_URL is not set, and the embedded databases are migrated at each start");
	const services = chosenServices(join(root, "services"), env.SERVICES).filter((name) => hasDatabase(root, name));
	if (rest.length > 0 || (service !== undefined) !== (command === "down")) throw new StartError(USAGE);
	switch (command) {
		case "up":
			if (DATABASE_ADMIN_URL) await createDatabases(DATABASE_ADMIN_URL, DATABASE_URL, services);
			return each(services, DATABASE_URL, migrate, "applied", "up to date");
		case "status":
			return each(services, DATABASE_URL, pendingMigrations, "lacks", "up to date");
		case "down":
			if (!services.includes(service!)) throw new StartError(`${service} is none of ${services.join(", ")}`);
			return each([service!], DATABASE_URL, revert, "took back", "nothing to take back");
		default:
			throw new StartError(USAGE);
	}
}

run("migrate", async (program) => {
	await program.step(carryOut(process.argv.slice(2), readEnv()));
	await program.stop();
});
