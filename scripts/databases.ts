import { createHmac } from "node:crypto";
import { existsSync } from "node:fs";
import { realpath } from "node:fs/promises";
import { join, sep } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { databaseUrl } from "../lib/persistence/database.ts";
import { assertShared, lockAlone } from "../lib/persistence/database-lock.ts";
import { startEmbeddedPostgres } from "../lib/persistence/embedded-postgres/embedded-postgres.ts";
import {
	createDatabases,
	forceCheckpoint,
	migrate,
	pendingMigrations,
} from "../lib/persistence/migrate.ts";
import type { Program } from "../lib/process/lifecycle.ts";
import { StartError } from "../lib/process/start-error.ts";
import type { Env } from "../lib/settings/env.ts";
import { hasDatabase, migrationFolders } from "../lib/settings/node.ts";
import { canonicalizeEmails } from "../services/users/users.canonical-emails.ts";

/** Beyond DRAIN_MS, for Postgres to stop cleanly; it has what draining left over as well. */
const STOP_MS = 1500;
/** Beyond all patience, see startEmbeddedPostgres. */
const GIVE_UP_MS = 10_000;
/** A first start on a slow disk takes some of it. */
const PREPARE_MS = 120_000;
const ANSWER_MS = 9000;
/** In a cluster everything starts at once, in whatever order: the server, the job that migrates, the nodes. */
const JOIN_MS = 60_000;
const LOOK_AGAIN_MS = 1000;
const UNLOCK_MS = 500;

export interface Databases {
	/** A DATABASE_URL. */
	readonly url: string;
	readonly embedded: boolean;
	/** The folders with data of ours. */
	readonly places: readonly string[];
}
interface Where {
	readonly root: string;
	/** DATA_DIR. */
	readonly folder: string;
	readonly services: readonly string[];
	readonly say: (line: string) => void;
}

/**
 * A migrated database for each of the services that have one: on the server of DATABASE_URL, or else on a Postgres of our own, which is
 * started here and stops when the program ends.
 * @throws StartError if a server's database cannot be reached or is older than its service
 */
export async function prepareDatabases(
	program: Program,
	{ DATABASE_URL, DRAIN_MS, TRANSPORTER }: Env,
	where: Where,
): Promise<Databases> {
	const services = withDatabase(where.root, where.services);
	if (!DATABASE_URL) return startDatabases(program, DRAIN_MS, { ...where, services });
	const late = "the databases of DATABASE_URL do not answer: see what holds the server up";
	const patience = TRANSPORTER ? JOIN_MS : 0;
	await program.step(waitForDatabases(DATABASE_URL, where.root, services, patience), {
		ms: patience + ANSWER_MS,
		late,
	});
	return { url: DATABASE_URL, embedded: false, places: [] };
}

/** Those of the services that have a database. */
export const withDatabase = (root: string, services: readonly string[]): string[] =>
	services.filter((name) => hasDatabase(root, name));

/**
 * Keeps two processes off one server if one of them caches in its memory: it would serve data that the other one has changed.
 * @throws StartError if there is such a process
 */
export async function claimDatabases(
	program: Program,
	{ TRANSPORTER, CACHER }: Env,
	url: string,
	services: readonly string[],
): Promise<void> {
	const urls = services.map((name) => databaseUrl(url, name));
	if (TRANSPORTER || CACHER) {
		await program.step(Promise.all(urls.map((one) => assertShared(one))));
		return;
	}
	const claim = async (one: string) => {
		const lock = await lockAlone(one, { onLost: (error) => void program.fail(error) });
		program.onEnd(UNLOCK_MS, () => lock.release());
	};
	await program.step(Promise.all(urls.map(claim)));
}

async function startDatabases(
	program: Program,
	drain: number,
	{ root, folder, services, say }: Where,
): Promise<Databases> {
	const dataDir = join(folder, "postgres");
	say(
		existsSync(dataDir)
			? "Starting the database …"
			: "Preparing the database, only this first time …",
	);
	const onExit = (reason: string) => program.fail(new StartError(reason));
	const starting = startEmbeddedPostgres({ dataDir, log: say, onExit }).catch((error) => {
		throw new StartError(
			`${error.message} (DATA_DIR names the folder, DATABASE_URL a Postgres of your own)`,
			{ cause: error },
		);
	});
	const stop = async (elapsed: number) => {
		const postgres = await starting.catch(() => undefined);
		await postgres?.stop(Math.max(STOP_MS / 3, drain + STOP_MS - elapsed));
	};
	program.onEnd(GIVE_UP_MS, stop);
	const { host, port, user, password, pgData } = await program.step(starting);
	// Always the same one, made from a secret that is kept anyway: it can neither get lost by itself nor stop fitting the roles.
	const secret = createHmac("sha256", password).update("services").digest("base64url");
	const url = `postgres://{service}:${secret}@${host}:${port}/{service}`;
	const admin = `postgres://${user}:${password}@${host}:${port}/postgres`;
	const prepare = async () => {
		const made = await createDatabases(admin, url, services);
		await Promise.all(
			services.map((name) => migrate(databaseUrl(url, name), migrationFolders(root, name))),
		);
		if (services.includes("users")) {
			const { problems } = await canonicalizeEmails(databaseUrl(url, "users"));
			for (const problem of problems) say(`E-mail addresses: ${problem}`);
		}
		// Now, while nobody waits for it, rather than when the program is told to end.
		if (made.length > 0) forceCheckpoint(admin).catch(() => undefined);
	};
	const late = `the databases could not be prepared within ${PREPARE_MS / 1000} s: see ${join(dataDir, "postgres.log")}`;
	await program.step(prepare(), { ms: PREPARE_MS, late });
	return {
		url,
		embedded: true,
		places: pgData.startsWith((await realpath(folder)) + sep) ? [folder] : [folder, pgData],
	};
}

/** Looks every second until the databases are there and migrated; tells each reason to wait once. After `patience` milliseconds that reason counts. */
async function waitForDatabases(
	url: string,
	root: string,
	services: readonly string[],
	patience: number,
): Promise<void> {
	const end = Date.now() + patience;
	for (let told = ""; ; await pause(LOOK_AGAIN_MS)) {
		try {
			return await assertMigrated(url, root, services);
		} catch (error) {
			if (!(error instanceof StartError) || Date.now() >= end) throw error;
			if (error.message !== told) console.error(`Waiting: ${error.message}`);
			told = error.message;
		}
	}
}

async function assertMigrated(
	url: string,
	root: string,
	services: readonly string[],
): Promise<void> {
	const pending = await Promise.all(
		services.map(async (name) => ({
			name,
			missing: await pendingMigrations(databaseUrl(url, name), migrationFolders(root, name)),
		})),
	);
	const stale = pending
		.filter(({ missing }) => missing.length > 0)
		.map(({ name, missing }) => `${name} (${missing.join(", ")})`);
	if (stale.length > 0)
		throw new StartError(
			`migrations are missing in ${stale.join(", ")}: run "npm run migrate" first`,
		);
}
