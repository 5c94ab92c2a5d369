import {
	chmod,
	chown,
	lstat,
	mkdir,
	open,
	realpath,
	rename,
	rm,
	stat,
	writeFile,
} from "node:fs/promises";
import { dirname, resolve } from "node:path";

/** The user (and group) that a process runs as. */
export interface Account {
	readonly uid: number;
	readonly gid: number;
}

export const READ = 4;
export const ENTER = 1;

/** The `code` of a failed system call, "" for any other error. */
export const errorCode = (error: unknown) =>
	typeof error === "object" && error !== null && "code" in error ? String(error.code) : "";

/** Whether an account that is not ours may use `path` (bits of one rwx digit) and enter every folder above it. Access lists are not read. */
export async function canReach(path: string, account: Account, bits: number): Promise<boolean> {
	let current: string;
	try {
		current = await realpath(path);
	} catch {
		return false;
	}
	for (let needed = bits; ; needed = ENTER) {
		const { mode, uid, gid } = await stat(current);
		const shift = uid === account.uid ? 6 : gid === account.gid ? 3 : 0;
		if (((mode >> shift) & needed) !== needed) return false;
		if (current === dirname(current)) return true;
		current = dirname(current);
	}
}

/**
 * Creates a folder and the folders above it. Unlike the `recursive` option of node:fs it ends where a folder cannot contain others: that
 * option repeats forever below /proc, which reports ENOENT for every new name.
 */
export async function makeFolders(path: string): Promise<void> {
	const missing: string[] = [];
	for (let current = resolve(path); !(await isFolder(current)); current = dirname(current))
		missing.push(current);
	for (const folder of missing.reverse()) {
		await mkdir(folder).catch(async (error) => {
			// Another process may have created it in the meantime.
			if (errorCode(error) !== "EEXIST" || !(await isFolder(folder))) throw error;
		});
	}
}

/** @throws if the path leads through a file */
async function isFolder(path: string): Promise<boolean> {
	try {
		return (await stat(path)).isDirectory();
	} catch (error) {
		if (errorCode(error) === "ENOENT") return false;
		throw error;
	}
}

/**
 * Makes a folder that only we can write to, or takes an existing one if that is so. A name that others can foresee
 * (in a shared /tmp) may have been taken by somebody else on purpose: their folder, or their link, is refused.
 */
export async function ownFolder(path: string, mode: number): Promise<boolean> {
	try {
		await makeFolders(dirname(path));
		const made = await mkdir(path, { mode }).then(
			() => true,
			(error) => {
				if (errorCode(error) === "EEXIST") return false;
				throw error;
			},
		);
		if (made) await chmod(path, mode);
		const found = await lstat(path);
		return found.isDirectory() && found.uid === process.getuid?.() && (found.mode & 0o022) === 0;
	} catch {
		return false;
	}
}

/** Writes a file so that a crash leaves the old content or the new, never a part. */
export async function writeDurably(path: string, content: string, mode = 0o600): Promise<void> {
	const draft = `${path}.new`;
	await rm(draft, { force: true });
	await writeFile(draft, content, { mode, flag: "wx", flush: true });
	await rename(draft, path);
	await syncFolder(dirname(path));
}

/** Makes renames and new names in a folder survive a power failure. */
export async function syncFolder(path: string): Promise<void> {
	const handle = await open(path, "r");
	try {
		await handle.sync();
	} finally {
		await handle.close();
	}
}

/** Files that root makes in an ordinary user's folder go to that user, or the user's next start could not use them. */
export async function giveToOwner(file: string, folder: string): Promise<void> {
	if (process.getuid?.() !== 0) return;
	const { uid, gid } = await stat(folder);
	await chown(file, uid, gid);
}
