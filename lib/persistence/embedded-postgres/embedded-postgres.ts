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

/** Each differs from Postgres' default: many services with a pool each, small queries, small machines. */
const SETTINGS = { max_connections: "200", shared_buffers: "128MB", jit: "off" };

/** A running Postgres of our own. It listens on loopback only. */
export interface EmbeddedPostgres {
	readonly host: string;
	/** Another one at each start, unless one was asked for. */
	readonly port: number;
	readonly user: string;
	readonly password: string;
	readonly pid: number;
	/** Where its files are: in the data folder, or elsewhere where Postgres cannot run there. */
	readonly pgData: string;
	/** Ends sessions and stops Postgres: cleanly, or after `patience` ms at once (the next start then recovers). May be called again. */
	stop(patience?: number): Promise<void>;
}

export interface EmbeddedPostgresOptions {
	/** Where the data live; made if missing. It must be empty the first time, and is ours alone from then on. */
	readonly dataDir: string;
	/** A free one unless given: that of an earlier start, for those who go on asking there. */
	readonly port?: number;
	/** Gets the few things worth telling, a line each. */
	readonly log?: (line: string) => void;
	/** Postgres settings over our own, for example `{ work_mem: "8MB" }`. */
	readonly settings?: Record<string, string>;
	/** Postgres ended though nobody asked it to; `reason` is one line. */
	readonly onExit?: (reason: string) => void;
}

/**
 * Starts a real Postgres, out of an npm package, on a data folder. It ends with this process, however that ends, and
 * the next start on the folder recovers by itself from whatever a killed one has left.
 * @throws StartError with one line that says what is wrong and what to do; nothing is left running then
 */
export async function startEmbeddedPostgres(
	options: EmbeddedPostgresOptions,
): Promise<EmbeddedPostgres> {
	dropLibpqVariables();
	try {
		return await start(options, options.log ?? (() => undefined));
	} catch (error) {
		if (error instanceof StartError) throw error;
		const message = `the embedded Postgres cannot start on ${options.dataDir} (${(error as Error).message}): mend that, or choose another folder`;
		throw new StartError(message, { cause: error });
	}
}

async function start(
	{ dataDir, port: wanted, settings, onExit }: EmbeddedPostgresOptions,
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
			wanted,
		);
		return running(started, port, folder, onExit);
	} catch (error) {
		await folder.release();
		throw error;
	}
}

async function checkVersion(native: string, { path, pgData }: DataFolder): Promise<void> {
	const ours = await majorVersion(native);
	const theirs = (await readFile(join(pgData, "PG_VERSION"), "utf8").catch(() => "")).trim();
	if (theirs === ours) return;
	if (!theirs)
		throw new StartError(
			`${pgData} holds no readable Postgres cluster: restore it from a backup, or choose a new data folder`,
		);
	throw new StartError(
		`the data folder ${path} was made by Postgres ${theirs}, this is Postgres ${ours}: dump it with the old version and load it into a new folder`,
	);
}

/** The system catalogue's file, which initdb reads, names it in its first line: "# PostgreSQL 18". */
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
	// A program that has nothing else to do may end; Postgres then ends with it.
	child.unref();

	const stop = async (patience: number) => {
		const done = ended.then(() => true);
		child.ref();
		child.kill("SIGINT");
		if (await withTimeout(done, patience)) return;
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
		stop: (patience = FAST_STOP_MS) => {
			stopping ??= stop(patience);
			return stopping;
		},
	};
}
