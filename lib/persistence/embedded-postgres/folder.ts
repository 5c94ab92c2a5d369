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
 * Account of Postgres when this process is root, because Postgres refuses to run as root. initdb
 * requires an account with a name: `nobody`, or `daemon` on macOS, whose `nobody` is -2, which some
 * calls reject.
 */
const UNPRIVILEGED: Account =
	process.platform === "darwin" ? { uid: 1, gid: 1 } : { uid: 65534, gid: 65534 };
const LOCK = "lock";
const OWN_FILES = [
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

/** A data folder that is checked and locked by this process. */
export interface DataFolder {
	readonly path: string;
	/** Random ID of the folder, which identifies our own Postgres processes. */
	readonly id: string;
	/** Folder of Postgres' files: inside `path` unless the account has no access there. */
	readonly pgData: string;
	readonly logFile: string;
	readonly password: string;
	/** Account that runs Postgres; undefined: the one of this process. */
	readonly account: Account | undefined;
	/** Whether the cluster exists. */
	readonly made: boolean;
	/** Whether that is recorded, see `markMade`. */
	readonly marked: boolean;
	release(): Promise<void>;
}

/**
 * Creates or opens, checks and locks a data folder. Contents: a marker, the lock, the password, the
 * log, and `pgdata`.
 * @throws StartError if it is not writable, belongs to another program, or is in use
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
		const existing = await readMarker(path);
		const account = await chooseAccount(path, existing);
		const marker = existing ?? (await chooseCluster(path, account, log));
		const folder = dirname(marker.pgData);
		// A copy of a data folder whose cluster is elsewhere leads to the same cluster.
		if (folder !== path && (await exists(folder))) locks.push(await lockFolder(folder));
		const made = await exists(marker.pgData);
		if (marker.made && !made)
			throw new StartError(
				`the data in ${marker.pgData} are missing: ` +
					"bring them back, or choose an empty or a new folder",
			);
		if (account && !(await canReach(folder, account, ENTER))) {
			throw new StartError(
				`Postgres runs as uid ${account.uid} here, which cannot enter ${folder}: ` +
					"give others the right to enter it and the folders above it",
			);
		}
		for (const one of new Set([path, folder])) await removeDrafts(one);
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

/**
 * Records that the cluster exists. From then on its absence is an error (a volume is not mounted),
 * never a reason to create a new one.
 */
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
			`the data folder ${path} cannot be written (${reason ?? errorCode(error)}): ` +
				`choose another, or give this user (uid ${uid}) the right to write there`,
		);
	}
}

async function refuseForeign(path: string): Promise<void> {
	const names = await readdir(path);
	if (names.includes("PG_VERSION")) {
		throw new StartError(
			`the data folder ${path} is a Postgres cluster that was not made by this program: ` +
				"choose an empty or a new folder",
		);
	}
	const foreign = names.find((name) => !OWN_FILES.some((prefix) => name.startsWith(prefix)));
	if (names.includes(MARKER) || (!foreign && !names.includes("pgdata"))) return;
	throw new StartError(
		`the data folder ${path} is not empty ("${foreign ?? "pgdata"}") ` +
			"and was not made by this program: choose an empty or a new folder",
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
				`already running on the data folder ${path} as process ${error.pid}: ` +
					"stop that one first, or choose another folder",
			);
		}
		throw new StartError(
			`the data folder ${path} cannot be locked (${(error as Error).message}): choose another`,
		);
	}
}

/** Removes drafts that a killed process has left. */
async function removeDrafts(path: string): Promise<void> {
	for (const name of await readdir(path)) {
		const draft = join(path, name);
		const age = Date.now() - ((await stat(draft).catch(() => undefined))?.mtimeMs ?? 0);
		if (name.startsWith("initdb-") || (name.startsWith(`${LOCK}.`) && age > STALE_DRAFT_MS)) {
			// An initdb whose parent was killed may still write there; then the next start removes it.
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
			`the data folder ${path} belongs to uid ${owner.uid}, ` +
				`this is uid ${uid}: run as the user who made it, or as root`,
		);
	}
	// A folder of an ordinary user remains accessible to that user after a start as root.
	if (owner && owner.uid !== 0) return { uid: owner.uid, gid: owner.gid };
	const folder = await stat(path);
	return folder.uid !== 0 && (await hasName(folder.uid))
		? { uid: folder.uid, gid: folder.gid }
		: UNPRIVILEGED;
}

/**
 * Whether an account has a name. A folder mounted into a container often belongs to a uid without
 * one, with which initdb fails.
 */
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
		// Others may pass through: the secrets in the folder have restrictive modes of their own.
		await chmod(path, ((await stat(path)).mode & 0o777) | 0o111);
		if (!(await canReach(path, account, ENTER))) {
			pgData = await choosePlaceOutside(path, id, account);
			log(
				`Postgres cannot run below ${path} as root does not let others in; ` +
					`its files are kept in ${pgData}`,
			);
		}
	}
	await writeMarker(path, { id, pgData, made: false });
	return { id, pgData, made: false };
}

async function choosePlaceOutside(path: string, id: string, account: Account): Promise<string> {
	const name = `${createHash("sha256").update(path).digest("hex").slice(0, 12)}-${id}`;
	const folder = join(`/var/lib/${APPLICATION_NAME}`, name);
	if (
		(await ownFolder(dirname(folder), 0o755)) &&
		(await ownFolder(folder, 0o755)) &&
		(await canReach(folder, account, ENTER))
	) {
		return join(folder, "pgdata");
	}
	throw new StartError(
		`Postgres cannot run below ${path} (it does not run as root, and others cannot ` +
			`enter there) nor in ${folder}: choose a data folder that others may enter`,
	);
}
