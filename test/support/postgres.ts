import { chmodSync } from "node:fs";
import { join } from "node:path";
import { type EmbeddedPostgres, startEmbeddedPostgres } from "../../lib/embedded-postgres.ts";
import { makeTemplates } from "./databases.ts";

/** A Postgres of a test's own, which can be stopped, and started again on the same port and data. */
export interface Postgres {
	/** Of somebody who may make databases. */
	readonly url: string;
	stop(): Promise<void>;
	restart(): Promise<void>;
}

/** With templates of all databases. @param folder for its data */
export async function startPostgres(folder: string): Promise<Postgres> {
	// Root's Postgres, which is not run as root, keeps its files inside.
	chmodSync(folder, 0o755);
	// A clean stop writes everything, so there is no need to wait for the disk before.
	const options = { dataDir: join(folder, "postgres"), settings: { fsync: "off", max_connections: "500" } };
	let postgres: EmbeddedPostgres = await startEmbeddedPostgres(options);
	const { host, port, user, password } = postgres;
	const url = `postgres://${user}:${password}@${host}:${port}/postgres`;
	await makeTemplates(url);
	return {
		url,
		stop: () => postgres.stop(),
		async restart() {
			postgres = await startEmbeddedPostgres({ ...options, port });
		},
	};
}
