import { chmodSync } from "node:fs";
import { join } from "node:path";
import { postgresMember } from "../../tools/chaos/members.ts";
import { makeTemplates } from "./databases.ts";

/** A Postgres of a test's own, which can be stopped, and started again on the same port and data. */
export interface Postgres {
	/** Of somebody who may make databases. */
	readonly url: string;
	stop(): Promise<void>;
	restart(): Promise<void>;
	/** Stops it for good. */
	end(): Promise<void>;
}

/** With templates of all databases. @param folder for its data */
export async function startPostgres(folder: string): Promise<Postgres> {
	// Root's Postgres, which is not run as root, keeps its files inside.
	chmodSync(folder, 0o755);
	// A clean stop writes everything, so there is no need to wait for the disk before.
	const settings = { fsync: "off", max_connections: "500" };
	const { member, admin } = await postgresMember({ dataDir: join(folder, "postgres"), settings });
	await makeTemplates(admin);
	return { url: admin, stop: member.term, restart: member.start, end: member.end };
}
