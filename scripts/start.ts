import { join, resolve } from "node:path";
import { parseArgs } from "node:util";
import type { Call } from "../lib/contract.ts";
import { readEnv } from "../lib/env.ts";
import { chosenServices } from "../lib/node.ts";
import { assertDistinctPorts } from "../lib/port.ts";
import { run } from "../lib/program.ts";
import { StartError } from "../lib/start-error.ts";
import { addressOf, loadServices, startBroker } from "./broker.ts";
import { claimDatabases, prepareDatabases, withDatabase } from "./databases.ts";
import { canPrompt, openPrompt } from "./prompt.ts";
import { screen } from "./screen.ts";
import { assertSecrets, jwtSecret } from "./secrets.ts";
import { adminPassword, findSomethingInStock, seedCatalogue, seedLogins } from "./seed.ts";

const root = join(import.meta.dirname, "..");

/** What runs, and how, is in the environment (docs/configuration.md). The arguments say only who is watching. */
function watching() {
	try {
		const { values } = parseArgs({ options: { quiet: { type: "boolean" }, "no-prompt": { type: "boolean" } } });
		return { quiet: values.quiet ?? false, prompt: !values.quiet && !values["no-prompt"] && canPrompt() };
	} catch {
		throw new StartError(`this takes --quiet (logs only) or --no-prompt, not "${process.argv.slice(2).join(" ")}"`);
	}
}

run("moleculer-commerce", async (program) => {
	const { quiet, prompt } = watching();
	const say = quiet ? () => undefined : (line: string) => console.log(line);
	const given = readEnv();
	const folder = resolve(given.DATA_DIR);
	const services = chosenServices(join(root, "services"), given.SERVICES);
	assertSecrets(given, services);
	assertDistinctPorts(given, services.includes("api"));
	// Postgres and the services' code take about as long to load, so they do it side by side.
	const loading = loadServices(root, services);
	loading.catch(() => undefined);

	const databases = await prepareDatabases(program, given, { folder, root, services, say });
	// An embedded Postgres belongs to this process anyway, by the lock of its data folder.
	if (!databases.embedded) await claimDatabases(program, given, databases.url, withDatabase(root, services));
	const JWT_SECRET = await program.step(jwtSecret(given, folder, services));
	const demo = databases.embedded && given.NODE_ENV !== "production";
	const has = (...names: string[]) => names.every((name) => services.includes(name));
	const ADMIN_PASSWORD = has("users") ? await program.step(adminPassword(given, folder, demo)) : undefined;
	const env = {
		...given,
		DATABASE_URL: databases.url,
		JWT_SECRET,
		ADMIN_PASSWORD,
		LOGLEVEL: given.LOGLEVEL ?? (quiet ? "info" : "warn"),
	} as const;
	say("Starting the services …");
	const broker = await startBroker(program, env, await program.step(loading));

	const call = broker.call.bind(broker) as unknown as Call;
	const logins = has("users") && (demo || !quiet) ? await program.step(seedLogins(call, env, folder, demo)) : [];
	if (demo && has("products", "inventory")) await program.step(seedCatalogue(call, folder, say));
	if (quiet) return;

	const productId = demo && has("api", "auth", "orders") ? await program.step(findSomethingInStock(call)) : undefined;
	say(screen({ url: addressOf(broker, env), services, logins, productId, places: databases.places, prompt }));
	program.onEnd(0, () => say(prompt ? "\nStopping …" : "Stopping …"));
	if (prompt) openPrompt(broker, program);
});
