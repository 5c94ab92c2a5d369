import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { withTimeout } from "../../async/with-timeout.ts";
import { StartError } from "../../process/start-error.ts";
import { dropLibpqVariables } from "../../settings/env.ts";
import { findBinaries, platformPackage } from "./binaries.ts";
import { type DataFolder, markMade, openDataFolder } from "./folder.ts";
import { initialize, USER } from "./initialize.ts";
import { HOST, launch } from "./launch.ts";
import { recover } from "./recover.ts";
import type { Started } from "./spawn.ts";

const FAST_STOP_MS = 4000;
const IMMEDIATE_STOP_MS = 3000;

/**
 * Settings that differ from Postgres' defaults: a pool per service, small queries, small machines.
 */
const SETTINGS = { max_connections: "200", shared_buffers: "128MB", jit: "off" };

/** A running embedded Postgres. It listens on loopback only. */
export interface EmbeddedPostgres {
	readonly host: string;
	/** A different port at each start, unless one was requested. */
	readonly port: number;
	readonly user: string;
	readonly password: string;
	readonly pid: number;
	/** Folder of its files: in the data folder, or elsewhere if Postgres cannot run there. */
	readonly pgData: string;
	/**
	 * Ends sessions and stops Postgres: cleanly, or immediately after `timeoutMs` (the next start
	 * then recovers). May be called again.
	 */
	stop(timeoutMs?: number): Promise<void>;
}

export interface EmbeddedPostgresOptions {
	/** Folder of the data; created if missing. Empty at first, then exclusive to this program. */
	readonly dataDir: string;
	/** A free port by default. Set it to keep the port of an earlier start for its clients. */
	readonly port?: number;
	/** Receives the rare status messages, one line each. */
	readonly log?: (line: string) => void;
	/** Postgres settings that override ours, for example `{ work_mem: "8MB" }`. */
	readonly settings?: Record<string, string>;
	/** Called when Postgres ends without a stop; `reason` is one line. */
	readonly onExit?: (reason: string) => void;
}

/**
 * Starts a real Postgres from an npm package on a data folder. It ends with this process, and the
 * next start on the folder recovers from a killed one.
 * @throws StartError with one line: the problem and its remedy; no process is left running
 */
export async function startEmbeddedPostgres(
	options: EmbeddedPostgresOptions,
): Promise<EmbeddedPostgres> {
	dropLibpqVariables();
	try {
		return await start(options, options.log ?? (() => undefined));
	} catch (error) {
		if (error instanceof StartError) throw error;
		const message =
			`the embedded Postgres cannot start on ${options.dataDir} ` +
			`(${(error as Error).message}): correct that, or choose another folder`;
		throw new StartError(message, { cause: error });
	}
}

async function start(
	{ dataDir, port: requestedPort, settings, onExit }: EmbeddedPostgresOptions,
	log: (line: string) => void,
): Promise<EmbeddedPostgres> {
	const packageFolder = platformPackage();
	const folder = await openDataFolder(dataDir, log);
	try {
		const native = await findBinaries(folder.account, packageFolder);
		if (!folder.made) await initialize(native, folder);
		await markMade(folder);
		await checkVersion(native, folder);
		await recover(folder, log);
		const { port, ...started } = await launch(
			native,
			folder,
			{ ...SETTINGS, ...settings },
			log,
			requestedPort,
		);
		return running(started, port, folder, onExit);
	} catch (error) {
		await folder.release();
		throw error;
	}
}

async function checkVersion(native: string, { path, pgData }: DataFolder): Promise<void> {
	const binaryVersion = await majorVersion(native);
	const dataVersion = (await readFile(join(pgData, "PG_VERSION"), "utf8").catch(() => "")).trim();
	if (dataVersion === binaryVersion) return;
	if (!dataVersion)
		throw new StartError(
			`${pgData} holds no readable Postgres cluster: ` +
				"restore it from a backup, or choose a new data folder",
		);
	throw new StartError(
		`the data folder ${path} was made by Postgres ${dataVersion}, this is Postgres ` +
			`${binaryVersion}: dump it with the old version and load it into a new folder`,
	);
}

/** The first line of the file that initdb reads names the version: "# PostgreSQL 18". */
async function majorVersion(native: string): Promise<string> {
	const text = await readFile(join(native, "share/postgresql/postgres.bki"), "utf8");
	return /^# PostgreSQL (\d+)/.exec(text)?.[1] ?? "";
}

function running(
	{ child, exited }: Started,
	port: number,
	folder: DataFolder,
	onExit?: (reason: string) => void,
): EmbeddedPostgres {
	let stopping: Promise<void> | undefined;
	const ended = exited.then(async ({ code, signal }) => {
		await folder.release();
		if (!stopping)
			onExit?.(`Postgres ended by itself (${signal ?? `code ${code}`}): see ${folder.logFile}`);
	});
	// Postgres does not keep this process alive; it ends with the process.
	child.unref();

	const stop = async (timeoutMs: number) => {
		const done = ended.then(() => true);
		child.ref();
		child.kill("SIGINT");
		if (await withTimeout(done, timeoutMs)) return;
		child.kill("SIGQUIT");
		if (await withTimeout(done, IMMEDIATE_STOP_MS)) return;
		child.kill("SIGKILL");
		await ended;
	};
	return {
		host: HOST,
		port,
		user: USER,
		password: folder.password,
		pid: child.pid ?? 0,
		pgData: folder.pgData,
		stop: (timeoutMs = FAST_STOP_MS) => {
			stopping ??= stop(timeoutMs);
			return stopping;
		},
	};
}
