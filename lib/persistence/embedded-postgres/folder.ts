import { createHash, randomBytes } from "node:crypto";
import { access, chmod, constants, readdir, readFile, realpath, rm, stat } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import {
	type Account,
	canReach,
	ENTER,
	errorCode,
	giveToOwner,
	makeFolders,
	ownFolder,
} from "../../process/folder-access.ts";
import { LockedError, lockFile, type ProcessLock } from "../../process/process-lock.ts";
import { StartError } from "../../process/start-error.ts";
import { APPLICATION_NAME } from "./binaries.ts";
import { keepPassword, MARKER, type Marker, readMarker, writeMarker } from "./marker.ts";

/**
 * Postgres refuses to run as root, so root runs it as nobody: no user has to be made. initdb wants one that has a name,
 * which on macOS is daemon (its nobody is -2, which not every call takes).
 */
const UNPRIVILEGED: Account =
	process.platform === "darwin" ? { uid: 1, gid: 1 } : { uid: 65534, gid: 65534 };
const LOCK = "lock";
const OURS = [
	MARKER,
	LOCK,
	"password",
	"postgres.log",
	"pgdata",
	"initdb-",
	"lost+found",
	".DS_Store",
];
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
	/** Whether the cluster is there. */
	readonly made: boolean;
	/** Whether that is noted, see `markMade`. */
	readonly marked: boolean;
	release(): Promise<void>;
}

/**
 * Makes or opens, checks and locks a data folder. Contents: a marker, the lock, the password, the log, and `pgdata`.
 * @throws StartError if it cannot be written, is somebody else's, or is in use
 */
export async function openDataFolder(
	dataDir: string,
	log: (line: string) => void,
): Promise<DataFolder> {
	const path = await makeFolder(resolve(dataDir));
	await refuseForeign(path);
	const locks = [await lockFolder(path)];
	const release = async () => {
		for (const lock of locks) await lock.release();
	};
	try {
		const known = await readMarker(path);
		const account = await chooseAccount(path, known);
		const marker = known ?? (await chooseCluster(path, account, log));
		const place = dirname(marker.pgData);
		// A copy of a data folder whose cluster is elsewhere leads to the same cluster.
		if (place !== path && (await exists(place))) locks.push(await lockFolder(place));
		const made = await exists(marker.pgData);
		if (marker.made && !made)
			throw new StartError(
				`the data in ${marker.pgData} are missing: bring them back, or choose an empty or a new folder`,
			);
		if (account && !(await canReach(place, account, ENTER))) {
			throw new StartError(
				`Postgres runs as uid ${account.uid} here, which cannot enter ${place}: give others the right to enter it and the folders above it`,
			);
		}
		for (const folder of new Set([path, place])) await removeDrafts(folder);
		const password = await keepPassword(path, made);
		return {
			path,
			id: marker.id,
			pgData: marker.pgData,
			logFile: join(path, "postgres.log"),
			password,
			account,
			made,
			marked: marker.made,
			release,
		};
	} catch (error) {
		await release();
		throw error;
	}
}

/** Notes that the cluster exists: from now on its absence is a fault (a volume not mounted), never a reason to begin anew. */
export async function markMade({ path, id, pgData, marked }: DataFolder): Promise<void> {
	if (!marked) await writeMarker(path, { id, pgData, made: true });
}

const exists = async (path: string) => (await stat(path).catch(() => undefined)) !== undefined;

async function makeFolder(path: string): Promise<string> {
	try {
		await makeFolders(path);
		await access(path, constants.R_OK | constants.W_OK | constants.X_OK);
		return await realpath(path);
	} catch (error) {
		const reason = {
			EEXIST: "it is a file",
			ENOENT: "its file system creates no folders there",
			ENOTDIR: "a part of the path is a file",
			EROFS: "its file system is read-only",
		}[errorCode(error)];
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
		const lock = await lockFile(join(path, LOCK));
		await giveToOwner(join(path, LOCK), path);
		return lock;
	} catch (error) {
		if (error instanceof LockedError) {
			throw new StartError(
				`already running on the data folder ${path} as process ${error.pid}: stop that one first, or choose another folder`,
			);
		}
		throw new StartError(
			`the data folder ${path} cannot be locked (${(error as Error).message}): choose another`,
		);
	}
}

/** What a process that was killed on the way has left. */
async function removeDrafts(path: string): Promise<void> {
	for (const name of await readdir(path)) {
		const draft = join(path, name);
		const age = Date.now() - ((await stat(draft).catch(() => undefined))?.mtimeMs ?? 0);
		if (name.startsWith("initdb-") || (name.startsWith(`${LOCK}.`) && age > STALE_DRAFT_MS)) {
			// An initdb whose parent was killed may still be writing there; then the next start removes it.
			await rm(draft, { recursive: true, force: true }).catch(() => undefined);
		}
	}
}

async function chooseAccount(
	path: string,
	marker: Marker | undefined,
): Promise<Account | undefined> {
	const uid = process.getuid?.();
	const owner = marker && (await stat(marker.pgData).catch(() => undefined));
	if (uid !== 0) {
		if (!owner || owner.uid === uid) return undefined;
		throw new StartError(
			`the data folder ${path} belongs to uid ${owner.uid}, this is uid ${uid}: run as the user who made it, or as root`,
		);
	}
	// What belongs to an ordinary user stays that user's when root starts on it.
	if (owner && owner.uid !== 0) return { uid: owner.uid, gid: owner.gid };
	const folder = await stat(path);
	return folder.uid !== 0 && (await hasName(folder.uid))
		? { uid: folder.uid, gid: folder.gid }
		: UNPRIVILEGED;
}

/** A folder mounted into a container often belongs to a uid that is unknown there, and for such a one initdb does not run. */
async function hasName(uid: number): Promise<boolean> {
	const accounts = await readFile("/etc/passwd", "utf8").catch(() => "");
	return accounts.split("\n").some((line) => line.split(":")[2] === String(uid));
}

async function chooseCluster(
	path: string,
	account: Account | undefined,
	log: (line: string) => void,
): Promise<Marker> {
	const id = randomBytes(8).toString("hex");
	let pgData = join(path, "pgdata");
	if (account) {
		// The folder is ours alone and what is secret in it has modes of its own, so letting others pass through gives nothing away.
		await chmod(path, ((await stat(path)).mode & 0o777) | 0o111);
		if (!(await canReach(path, account, ENTER))) {
			pgData = await placeElsewhere(path, id, account);
			log(
				`Postgres cannot run below ${path} as root does not let others in; its files are kept in ${pgData}`,
			);
		}
	}
	await writeMarker(path, { id, pgData, made: false });
	return { id, pgData, made: false };
}

async function placeElsewhere(path: string, id: string, account: Account): Promise<string> {
	const name = `${createHash("sha256").update(path).digest("hex").slice(0, 12)}-${id}`;
	const place = join(`/var/lib/${APPLICATION_NAME}`, name);
	if (
		(await ownFolder(dirname(place), 0o755)) &&
		(await ownFolder(place, 0o755)) &&
		(await canReach(place, account, ENTER))
	) {
		return join(place, "pgdata");
	}
	throw new StartError(
		`Postgres cannot run below ${path} (it does not run as root, and others cannot enter there) nor in ${place}: choose a data folder that others may enter`,
	);
}
