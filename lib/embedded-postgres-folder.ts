import { createHash, randomBytes } from "node:crypto";
import { access, chmod, chown, constants, mkdir, readdir, readFile, realpath, rm, stat } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import { APPLICATION } from "./embedded-postgres-binaries.ts";
import { type Account, canReach, ENTER, errorCode, ownFolder, writeDurably } from "./folder-access.ts";
import { LockedError, lockFile, type ProcessLock } from "./process-lock.ts";
import { StartError } from "./start-error.ts";

/** Postgres refuses to run as root, so root runs it as this user: "nobody" nearly everywhere, and no user has to be made. */
const UNPRIVILEGED: Account = { uid: 65534, gid: 65534 };
const MARKER = "embedded-postgres.json";
const LOCK = "lock";
const OURS = [MARKER, LOCK, "password", "postgres.log", "pgdata", "initdb-", "lost+found", ".DS_Store"];
const STALE_DRAFT_MS = 60_000;

/** A data folder that is locked by this process and known to be ours. */
export interface DataFolder {
	readonly path: string;
	/** Random, made with the folder: tells our own Postgres processes from others. */
	readonly id: string;
	/** Where Postgres keeps its files: inside `path`, save when the account cannot get there. */
	readonly pgData: string;
	readonly logFile: string;
	readonly password: string;
	/** Whom to run Postgres as; undefined: as ourselves. */
	readonly account: Account | undefined;
	readonly lock: ProcessLock;
}

/**
 * Makes or opens, checks and locks a data folder. Contents: a marker, the lock, the password, the log, and `pgdata`.
 * @throws StartError if it cannot be written, is somebody else's, or is in use
 */
export async function openDataFolder(dataDir: string, log: (line: string) => void): Promise<DataFolder> {
	const path = await makeFolder(resolve(dataDir));
	await refuseForeign(path);
	const lock = await lockFolder(path);
	try {
		await removeDrafts(path);
		const marker = await readMarker(path);
		const account = await chooseAccount(path, marker);
		const { id, pgData } = marker ?? (await writeMarker(path, account, log));
		const password = await keepPassword(path, await exists(pgData));
		return { path, id, pgData, logFile: join(path, "postgres.log"), password, account, lock };
	} catch (error) {
		await lock.release();
		throw error;
	}
}

const exists = async (path: string) => (await stat(path).catch(() => undefined)) !== undefined;

async function makeFolder(path: string): Promise<string> {
	try {
		await mkdir(path, { recursive: true });
		await access(path, constants.R_OK | constants.W_OK | constants.X_OK);
		return await realpath(path);
	} catch (error) {
		const reason = { EEXIST: "it is a file", ENOTDIR: "a part of the path is a file", EROFS: "its file system is read-only" }[
			errorCode(error)
		];
		const uid = process.getuid?.();
		throw new StartError(
			`the data folder ${path} cannot be written (${reason ?? errorCode(error)}): choose another, or give this user (uid ${uid}) the right to write there`,
		);
	}
}

async function refuseForeign(path: string): Promise<void> {
	const names = await readdir(path);
	if (names.includes("PG_VERSION")) {
		throw new StartError(
			`the data folder ${path} is a Postgres cluster that was not made by this program: choose an empty or a new folder`,
		);
	}
	const foreign = names.find((name) => !OURS.some((ours) => name.startsWith(ours)));
	if (names.includes(MARKER) || (!foreign && !names.includes("pgdata"))) return;
	throw new StartError(
		`the data folder ${path} is not empty ("${foreign ?? "pgdata"}") and was not made by this program: choose an empty or a new folder`,
	);
}

async function lockFolder(path: string): Promise<ProcessLock> {
	try {
		return await lockFile(join(path, LOCK));
	} catch (error) {
		if (error instanceof LockedError) {
			throw new StartError(
				`already running on the data folder ${path} as process ${error.pid}: stop that one first, or choose another folder`,
			);
		}
		throw new StartError(`the data folder ${path} cannot be locked (${(error as Error).message}): choose another`);
	}
}

/** What a process that was killed on the way has left. */
async function removeDrafts(path: string): Promise<void> {
	for (const name of await readdir(path)) {
		const draft = join(path, name);
		const age = Date.now() - ((await stat(draft).catch(() => undefined))?.mtimeMs ?? 0);
		if (name.startsWith("initdb-") || (name.startsWith(`${LOCK}.`) && age > STALE_DRAFT_MS)) {
			await rm(draft, { recursive: true, force: true, maxRetries: 3 });
		}
	}
}

async function readMarker(path: string): Promise<{ id: string; pgData: string } | undefined> {
	const file = join(path, MARKER);
	const text = await readFile(file, "utf8").catch((error) => {
		if (errorCode(error) === "ENOENT") return undefined;
		throw new StartError(`${file} cannot be read (${errorCode(error)}): run as the user who made the folder`);
	});
	if (text === undefined) return undefined;
	try {
		const { id, pgData } = JSON.parse(text);
		return { id, pgData: resolve(path, pgData) };
	} catch {
		throw new StartError(`${file} is damaged: restore it from a backup, or choose an empty or a new folder`);
	}
}

async function chooseAccount(path: string, marker: { pgData: string } | undefined): Promise<Account | undefined> {
	const uid = process.getuid?.();
	const owner = marker && (await stat(marker.pgData).catch(() => undefined));
	if (uid !== 0) {
		if (!owner || owner.uid === uid) return undefined;
		throw new StartError(
			`the data folder ${path} belongs to uid ${owner.uid}, this is uid ${uid}: run as the user who made it, or as root`,
		);
	}
	// Data that an ordinary user has made stay that user's when root starts on them.
	return owner && owner.uid !== 0 ? { uid: owner.uid, gid: owner.gid } : UNPRIVILEGED;
}

async function writeMarker(
	path: string,
	account: Account | undefined,
	log: (line: string) => void,
): Promise<{ id: string; pgData: string }> {
	const id = randomBytes(8).toString("hex");
	let pgData = "pgdata";
	if (account) {
		// The folder is ours alone and what is secret in it has modes of its own, so letting others pass through gives nothing away.
		await chmod(path, ((await stat(path)).mode & 0o777) | 0o111);
		if (!(await canReach(path, account, ENTER))) {
			pgData = await placeElsewhere(path, id, account);
			log(`Postgres cannot run below ${path} as root does not let others in; its files are kept in ${pgData}`);
		}
	}
	await writeDurably(
		join(path, MARKER),
		JSON.stringify({ about: "a database of this program; do not edit", id, pgData }, undefined, "\t"),
		0o644,
	);
	return { id, pgData: resolve(path, pgData) };
}

async function placeElsewhere(path: string, id: string, account: Account): Promise<string> {
	const name = `${createHash("sha256").update(path).digest("hex").slice(0, 12)}-${id}`;
	const place = join(`/var/lib/${APPLICATION}`, name);
	if ((await ownFolder(dirname(place), 0o755)) && (await ownFolder(place, 0o755)) && (await canReach(place, account, ENTER))) {
		return join(place, "pgdata");
	}
	throw new StartError(
		`Postgres cannot run below ${path} (it does not run as root, and others cannot enter there) nor in ${place}: choose a data folder that others may enter`,
	);
}

async function keepPassword(path: string, hasData: boolean): Promise<string> {
	const file = join(path, "password");
	const kept = await readFile(file, "utf8").catch((error) => {
		if (errorCode(error) === "ENOENT") return "";
		throw new StartError(`${file} cannot be read (${errorCode(error)}): run as the user who made the folder`);
	});
	if (kept.trim()) return kept.trim();
	if (hasData) throw new StartError(`${file} is missing, and the data cannot be opened without it: restore it from a backup`);
	const password = randomBytes(24).toString("base64url");
	await writeDurably(file, `${password}\n`);
	return password;
}

/** Files that root makes in an ordinary user's folder go to that user, or the user's next start could not use them. */
export async function giveToOwner(file: string, folder: string): Promise<void> {
	if (process.getuid?.() !== 0) return;
	const { uid, gid } = await stat(folder);
	await chown(file, uid, gid);
}
