import { execFile } from "node:child_process";
import { chmodSync, mkdirSync, writeFileSync } from "node:fs";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { startEmbeddedPostgres } from "../../lib/persistence/embedded-postgres/embedded-postgres.ts";
import { makeTemplates, root } from "./databases.ts";
import { makeMemoryFolder } from "./memory-folder.ts";
import { NODE_COMPILE_CACHE } from "./processes.ts";

/**
 * Starts one Postgres for the test run, with a migrated template of each service's database. Test
 * files copy the templates that they need. Builds the console. Temporary files of the test run are
 * in memory, and modules that were compiled by earlier runs are not compiled again.
 */
export default async function setup(): Promise<void> {
	const run = (file: string) =>
		promisify(execFile)(process.execPath, ["--no-warnings", join(root, file)], {
			env: { ...process.env, NODE_COMPILE_CACHE },
		});
	const programs = [run("console/build.js"), run("test/support/fill-compile-cache.ts")];
	const folder = makeMemoryFolder("moleculer-commerce-test");
	// If tests run as root, Postgres and some programs run as other users.
	chmodSync(folder, 0o755);
	const temporary = join(folder, "tmp");
	mkdirSync(temporary);
	chmodSync(temporary, 0o777);
	// Without SCRAM, which takes more CPU time than most tests' statements.
	const hba_file = join(folder, "pg_hba.conf");
	writeFileSync(hba_file, "host all all 127.0.0.1/32 trust\n");
	const postgres = await startEmbeddedPostgres({
		dataDir: join(folder, "postgres"),
		// The data is deleted after the run, so it need not survive a power failure.
		settings: { fsync: "off", full_page_writes: "off", max_connections: "600", hba_file },
	});
	const { host, port, user, password } = postgres;
	const admin = `postgres://${user}:${password}@${host}:${port}/postgres`;
	// Workers and their child processes inherit these.
	Object.assign(process.env, { TEST_POSTGRES: admin, TMPDIR: temporary, NODE_COMPILE_CACHE });
	await Promise.all([makeTemplates(admin), ...programs]);
	(globalThis as { stopPostgres?: () => Promise<void> }).stopPostgres = async () => {
		await postgres.stop();
		await rm(folder, { recursive: true, force: true });
	};
}
