import { mkdtempSync } from "node:fs";
import { rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { databaseUrl } from "../../lib/database.ts";
import { startEmbeddedPostgres } from "../../lib/embedded-postgres.ts";
import { createDatabases, migrate } from "../../lib/migrate.ts";
import { migrationFolders } from "../../lib/node.ts";
import { domains, root, TEMPLATE } from "./databases.ts";

/** One real Postgres for the whole run, with a migrated template of each service's database; a test file copies the ones it needs. */
export default async function setup(): Promise<void> {
	const folder = mkdtempSync(join(tmpdir(), "moleculer-commerce-test-"));
	const postgres = await startEmbeddedPostgres({
		dataDir: folder,
		// The run's databases are thrown away with it, so nothing needs to survive a power failure.
		settings: { fsync: "off", full_page_writes: "off", max_connections: "600" },
	});
	const { host, port, user, password } = postgres;
	const admin = `postgres://${user}:${password}@${host}:${port}/postgres`;
	process.env.TEST_POSTGRES = admin;
	const pattern = `postgres://{service}:secret@${host}:${port}/${TEMPLATE}{service}`;
	await createDatabases(admin, pattern, domains);
	await Promise.all(domains.map((service) => migrate(databaseUrl(pattern, service), migrationFolders(root, service))));
	(globalThis as { stopPostgres?: () => Promise<void> }).stopPostgres = async () => {
		await postgres.stop();
		await rm(folder, { recursive: true, force: true });
	};
}
