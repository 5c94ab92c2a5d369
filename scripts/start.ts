import { join, resolve } from "node:path";
import type { Call } from "../lib/contracts/contract.ts";
import { readCommandLine } from "../lib/process/command-line.ts";
import { type Program, runProgram } from "../lib/process/lifecycle.ts";
import { readEnv } from "../lib/settings/env.ts";
import { selectedServices } from "../lib/settings/node.ts";
import { assertDistinctPorts } from "../lib/settings/port.ts";
import { addressOf, loadServices, openLog, startBroker } from "./broker.ts";
import { claimDatabases, prepareDatabases, withDatabase } from "./databases.ts";
import { canPrompt, openPrompt } from "./prompt.ts";
import { screen } from "./screen.ts";
import { assertSecrets, jwtSecret } from "./secrets.ts";
import { adminPassword, findSomethingInStock, seedCatalogue, seedLogins } from "./seed.ts";

const root = join(import.meta.dirname, "..");

const USAGE = `npm start -- [--quiet | --no-prompt] [--watch]
  --quiet      prints only log lines
  --no-prompt  does not open a prompt in a terminal
  --watch      restarts when a file changes, without a prompt (npm run dev)
Environment variables configure everything else: docs/configuration.md lists them.`;

const read = (program: Program) =>
	readCommandLine(program, {
		command: "npm start --",
		usage: USAGE,
		options: {
			quiet: { type: "boolean" },
			"no-prompt": { type: "boolean" },
			watch: { type: "boolean" },
		},
		convert: ({ quiet = false, "no-prompt": noPrompt = false, watch = false }) => {
			return { quiet, watch, prompt: !quiet && !noPrompt && !watch && canPrompt() };
		},
	});

/**
 * Replaces this process by `node --watch`. Only after the arguments were parsed, because `node
 * --watch` waits for changes after its program has failed.
 */
function restartOnChange(quiet: boolean): void {
	const program = join(import.meta.dirname, "start.js");
	process.execve!(process.execPath, [
		process.execPath,
		"--watch",
		program,
		quiet ? "--quiet" : "--no-prompt",
	]);
}

runProgram(
	"moleculer-commerce",
	async (program) => {
		const { quiet, watch, prompt } = await read(program);
		if (watch) return restartOnChange(quiet);
		const print = quiet ? () => undefined : (line: string) => console.log(line);
		const given = readEnv();
		const log = quiet ? openLog(program, given) : undefined;
		if (log) program.reportTo(log.loggerOf("start"));
		const folder = resolve(given.DATA_DIR);
		const services = selectedServices(join(root, "services"), given.SERVICES);
		assertSecrets(given, services);
		assertDistinctPorts(given, services.includes("api"));
		// Starting Postgres and loading the services take about the same time, so they are concurrent.
		const loading = loadServices(root, services);
		loading.catch(() => undefined);

		const databases = await prepareDatabases(program, given, { folder, root, services, print });
		// The lock of its data folder already protects an embedded Postgres.
		if (!databases.embedded)
			await claimDatabases(program, given, databases.url, withDatabase(root, services));
		const JWT_SECRET = await program.step(jwtSecret(given, folder, services));
		const demo = databases.embedded && given.NODE_ENV !== "production";
		const has = (...names: string[]) => names.every((name) => services.includes(name));
		const ADMIN_PASSWORD = has("users")
			? await program.step(adminPassword(given, folder, demo))
			: undefined;
		const env = {
			...given,
			DATABASE_URL: databases.url,
			JWT_SECRET,
			ADMIN_PASSWORD,
			LOGLEVEL: given.LOGLEVEL ?? (quiet ? "info" : "warn"),
		} as const;
		print("Starting the services …");
		const broker = await startBroker(program, env, await program.step(loading), log);

		const call = broker.call.bind(broker) as unknown as Call;
		const logins =
			has("users") && (demo || !quiet)
				? await program.step(seedLogins(call, env, folder, demo))
				: [];
		if (demo && has("products", "inventory"))
			await program.step(seedCatalogue(call, folder, print));
		if (quiet) return;

		const productId =
			demo && has("api", "auth", "orders")
				? await program.step(findSomethingInStock(call))
				: undefined;
		print(
			screen({
				url: addressOf(broker, env),
				services,
				logins,
				productId,
				places: databases.places,
				prompt,
			}),
		);
		program.onEnd(0, () => print(prompt ? "\nStopping …" : "Stopping …"));
		if (prompt) openPrompt(broker, program);
	},
	{ untilSignal: true },
);
