import { createHmac } from "node:crypto";
import { existsSync } from "node:fs";
import { realpath } from "node:fs/promises";
import { join, sep } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { CONNECT_MS, databaseUrl } from "../lib/persistence/database.ts";
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

/**
 * Time for Postgres to stop cleanly, in addition to DRAIN_MS and the time that draining left
 * unused.
 */
const STOP_MS = 1500;
/** Longer than all timeouts of startEmbeddedPostgres. */
const STOP_TIMEOUT_MS = 10_000;
/** Enough for a first start on a slow disk. */
const PREPARE_MS = 120_000;
/** Includes the queries after connecting. */
const RESPONSE_MS = CONNECT_MS + 5000;
/** A cluster starts its server, its migration job and its nodes at the same time, in any order. */
const JOIN_MS = 60_000;
const POLL_MS = 1000;
const UNLOCK_MS = 500;

interface Databases {
	/** A DATABASE_URL. */
	readonly url: string;
	readonly embedded: boolean;
	/** Folders that contain data; empty if the databases are on a server. */
	readonly places: readonly string[];
}
interface Target {
	readonly root: string;
	/** DATA_DIR. */
	readonly folder: string;
	readonly services: readonly string[];
	readonly print: (line: string) => void;
}

/**
 * Prepares a migrated database for each service that has one. Uses the server of DATABASE_URL, or
 * starts an embedded Postgres, which stops when the program ends.
 * @throws StartError if a database on the server is unreachable or lacks migrations
 */
export async function prepareDatabases(
	program: Program,
	{ DATABASE_URL, DRAIN_MS, TRANSPORTER }: Env,
	target: Target,
): Promise<Databases> {
	const services = withDatabase(target.root, target.services);
	if (!DATABASE_URL) return startDatabases(program, DRAIN_MS, { ...target, services });
	const late = "the databases of DATABASE_URL do not respond: check the load of the server";
	const maxWait = TRANSPORTER ? JOIN_MS : 0;
	await program.step(waitForDatabases(program, DATABASE_URL, target.root, services, maxWait), {
		ms: maxWait + RESPONSE_MS,
		late,
	});
	return { url: DATABASE_URL, embedded: false, places: [] };
}

/** The services that have a database. */
export const withDatabase = (root: string, services: readonly string[]): string[] =>
	services.filter((name) => hasDatabase(root, name));

/**
 * Prevents two processes from using one server if one of them caches in memory: it would serve data
 * that the other one has changed.
 * @throws StartError if another process conflicts
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
	{ root, folder, services, print }: Target,
): Promise<Databases> {
	const dataDir = join(folder, "postgres");
	print(
		existsSync(dataDir) ? "Starting the database …" : "Preparing the database (first start only) …",
	);
	const onExit = (reason: string) => program.fail(new StartError(reason));
	const starting = startEmbeddedPostgres({ dataDir, log: print, onExit }).catch((error) => {
		throw new StartError(
			`${error.message} (DATA_DIR selects the folder; ` +
				"DATABASE_URL selects another Postgres server)",
			{ cause: error },
		);
	});
	const stop = async (elapsed: number) => {
		const postgres = await starting.catch(() => undefined);
		await postgres?.stop(Math.max(STOP_MS / 3, drain + STOP_MS - elapsed));
	};
	program.onEnd(STOP_TIMEOUT_MS, stop);
	const { host, port, user, password, pgData } = await program.step(starting);
	// Derived from the stored password, so that it is the same at each start and matches the roles.
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
			for (const problem of problems) program.warn(`E-mail addresses: ${problem}`);
		}
		// A checkpoint now shortens the later shutdown.
		if (made.length > 0) forceCheckpoint(admin).catch(() => undefined);
	};
	const late =
		`the databases could not be prepared within ${PREPARE_MS / 1000} s: ` +
		`see ${join(dataDir, "postgres.log")}`;
	await program.step(prepare(), { ms: PREPARE_MS, late });
	return {
		url,
		embedded: true,
		places: pgData.startsWith((await realpath(folder)) + sep) ? [folder] : [folder, pgData],
	};
}

/**
 * Polls every second until the databases are reachable and migrated. Reports each reason for
 * waiting once.
 * @throws StartError with the current reason after `maxWait` milliseconds
 */
async function waitForDatabases(
	program: Program,
	url: string,
	root: string,
	services: readonly string[],
	maxWait: number,
): Promise<void> {
	const end = Date.now() + maxWait;
	for (let reported = ""; ; await pause(POLL_MS)) {
		try {
			return await assertMigrated(url, root, services);
		} catch (error) {
			if (!(error instanceof StartError) || Date.now() >= end) throw error;
			if (error.message !== reported) program.warn(`Waiting: ${error.message}`);
			reported = error.message;
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
