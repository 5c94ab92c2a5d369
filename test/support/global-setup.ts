import { mkdtempSync } from "node:fs";
import { rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startEmbeddedPostgres } from "../../lib/persistence/embedded-postgres/embedded-postgres.ts";
import { makeTemplates } from "./databases.ts";

/**
 * Starts one Postgres for the test run, with a migrated template of each service's database. Test
 * files copy the templates that they need.
 */
export default async function setup(): Promise<void> {
	const folder = mkdtempSync(join(tmpdir(), "moleculer-commerce-test-"));
	const postgres = await startEmbeddedPostgres({
		dataDir: folder,
		// The data is deleted after the run, so it need not survive a power failure.
		settings: { fsync: "off", full_page_writes: "off", max_connections: "600" },
	});
	const { host, port, user, password } = postgres;
	const admin = `postgres://${user}:${password}@${host}:${port}/postgres`;
	process.env.TEST_POSTGRES = admin;
	await makeTemplates(admin);
	(globalThis as { stopPostgres?: () => Promise<void> }).stopPostgres = async () => {
		await postgres.stop();
		await rm(folder, { recursive: true, force: true });
	};
}
