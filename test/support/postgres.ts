import { chmodSync } from "node:fs";
import { join } from "node:path";
import { postgresMember } from "../../tools/chaos/members.ts";
import { makeTemplates } from "./databases.ts";

/** Separate Postgres, which tests can stop and restart on the same port and data. */
export interface Postgres {
	/** URL with a role that may create databases. */
	readonly url: string;
	stop(): Promise<void>;
	restart(): Promise<void>;
	/** Stops it permanently. */
	end(): Promise<void>;
}

/** Starts Postgres with templates of all databases. @param folder for its data */
export async function startPostgres(folder: string): Promise<Postgres> {
	// If tests run as root, Postgres runs as another user, who must have access to the folder.
	chmodSync(folder, 0o755);
	const { member, admin } = await postgresMember(join(folder, "postgres"));
	await makeTemplates(admin);
	return { url: admin, stop: member.term, restart: member.start, end: member.end };
}
