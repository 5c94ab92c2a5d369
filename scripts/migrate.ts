import { join } from "node:path";
import { databaseUrl } from "../lib/persistence/database.ts";
import {
	createDatabases,
	type MigrationState,
	migrate,
	migrationState,
	revert,
} from "../lib/persistence/migrate.ts";
import { readCommandLine } from "../lib/process/command-line.ts";
import { type Program, runProgram } from "../lib/process/lifecycle.ts";
import { StartError } from "../lib/process/start-error.ts";
import { readEnv } from "../lib/settings/env.ts";
import { hasDatabase, migrationFolders, selectedServices } from "../lib/settings/node.ts";
import { canonicalizeEmails } from "../services/users/users.canonical-emails.ts";

const root = join(import.meta.dirname, "..");
const USAGE = `npm run migrate -- [command]
  up                  applies the missing migrations (default), and reports accounts whose e-mail
                      addresses differ only in spelling
  status              prints the state of each database
  down SERVICE --yes  reverts the last migration of one service, and deletes the data that it added
Uses DATABASE_URL, and the services in SERVICES (all by default). With DATABASE_ADMIN_URL, "up"
creates missing roles and databases. See docs/upgrading.md.`;

interface Options {
	readonly command: "up" | "status" | "down";
	/** Only for "down". */
	readonly service: string | undefined;
	readonly confirmed: boolean;
}

const read = (program: Program) =>
	readCommandLine(program, {
		command: "npm run migrate --",
		usage: USAGE,
		options: { yes: { type: "boolean", default: false } },
		positionals: 2,
		convert({ yes }, [command = "up", service]): Options {
			if (command !== "up" && command !== "status" && command !== "down")
				throw new Error(`Unknown command "${command}"`);
			if (service !== undefined && command !== "down")
				throw new Error(`Unexpected argument "${service}"`);
			if (service === undefined && command === "down")
				throw new Error('"down" requires the name of a service');
			return { command, service, confirmed: yes };
		},
	});

const last = ({ applied }: MigrationState) => applied.at(-1);

/** A table with one line per service. */
function table(
	states: readonly { readonly service: string; readonly state: MigrationState }[],
): string {
	const rows = states.map(({ service, state }) => {
		const { missing, newer, applied } = state;
		const newest = last(state);
		const words = [
			...(missing.length > 0 ? [`lacks ${missing.join(", ")}`] : []),
			...(newer.length > 0 ? [`newer: ${newer.join(", ")}`] : []),
		];
		const when = newest ? newest.applied_at.toISOString().slice(0, 16).replace("T", " ") : "";
		return [
			service,
			String(applied.length),
			newest?.name ?? "nothing",
			when,
			words.join("; ") || "up to date",
		];
	});
	const all = [["service", "applied", "last", "at (UTC)", "state"], ...rows];
	const widths = all[0]!.map((_, column) => Math.max(...all.map((row) => row[column]!.length)));
	return all
		.map((row) =>
			row
				.map((cell, column) => cell.padEnd(widths[column]!))
				.join("  ")
				.trimEnd(),
		)
		.join("\n");
}

runProgram("migrate", async (program) => {
	await program.step(run(await read(program)));
	await program.stop();
});

async function run({ command, service, confirmed }: Options): Promise<void> {
	const { DATABASE_URL, DATABASE_ADMIN_URL, SERVICES } = readEnv();
	if (!DATABASE_URL)
		throw new StartError(
			"DATABASE_URL is not set: set it to postgres://{service}:password@host:5432/{service}. " +
				"Embedded databases are migrated at each start",
		);
	const services = selectedServices(join(root, "services"), SERVICES).filter((name) =>
		hasDatabase(root, name),
	);
	const at = (name: string) =>
		[databaseUrl(DATABASE_URL, name), migrationFolders(root, name)] as const;

	if (command === "down") {
		if (!services.includes(service!))
			throw new StartError(`${service} is not one of ${services.join(", ")}`);
		const newest = last(await migrationState(...at(service!)));
		if (newest && !confirmed)
			throw new StartError(
				`this would revert ${newest.name} of ${service} and delete the data that it added. ` +
					`To confirm: npm run migrate -- down ${service} --yes`,
			);
		const [name] = await revert(...at(service!));
		console.log(`${service}: ${name ? `reverted ${name}` : "nothing to revert"}`);
		return;
	}
	if (command === "status") {
		const states = [];
		for (const name of services)
			states.push({ service: name, state: await migrationState(...at(name)) });
		console.log(table(states));
		return;
	}
	if (DATABASE_ADMIN_URL) await createDatabases(DATABASE_ADMIN_URL, DATABASE_URL, services);
	for (const name of services) {
		const applied = await migrate(...at(name));
		console.log(`${name}: ${applied.length > 0 ? `applied ${applied.join(", ")}` : "up to date"}`);
	}
	if (services.includes("users")) {
		const { changed, problems } = await canonicalizeEmails(databaseUrl(DATABASE_URL, "users"));
		if (changed > 0) console.log(`users: stored ${changed} e-mail addresses in canonical form`);
		for (const problem of problems) console.error(`users: ${problem}`);
	}
}
