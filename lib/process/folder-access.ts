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

/** User and group of a process. */
export interface Account {
	readonly uid: number;
	readonly gid: number;
}

export const READ = 4;
export const ENTER = 1;

/** `code` of a failed system call; "" for any other error. */
export const errorCode = (error: unknown) =>
	typeof error === "object" && error !== null && "code" in error ? String(error.code) : "";

/**
 * Whether another account may access `path` and enter every folder above it. Access control lists
 * are ignored.
 *
 * @param bits required permissions, as in one rwx digit
 */
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
 * Creates a folder and its parents. The `recursive` option of node:fs would loop without end below
 * /proc, which reports ENOENT for every new name.
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
 * Creates a folder that only this user can write to, or accepts an existing one with that property.
 * In a shared /tmp, another user may create a folder or link under a predictable name on purpose.
 *
 * @returns false if the folder belongs to another user or cannot be created
 */
export async function ownFolder(path: string, mode: number): Promise<boolean> {
	try {
		await makeFolders(dirname(path));
		const created = await mkdir(path, { mode }).then(
			() => true,
			(error) => {
				if (errorCode(error) === "EEXIST") return false;
				throw error;
			},
		);
		if (created) await chmod(path, mode);
		const found = await lstat(path);
		return found.isDirectory() && found.uid === process.getuid?.() && (found.mode & 0o022) === 0;
	} catch {
		return false;
	}
}

/** Writes a file atomically: after a crash it has either the old or the new content. */
export async function writeDurably(path: string, content: string, mode = 0o600): Promise<void> {
	const draft = `${path}.new`;
	await rm(draft, { force: true });
	await writeFile(draft, content, { mode, flag: "wx", flush: true });
	await rename(draft, path);
	await syncFolder(dirname(path));
}

/** Flushes renamed and created files of a folder to disk. */
export async function syncFolder(path: string): Promise<void> {
	const handle = await open(path, "r");
	try {
		await handle.sync();
	} finally {
		await handle.close();
	}
}

/**
 * Changes the owner of a file to that of its folder if this process runs as root. Otherwise a later
 * start by the folder's owner could not use the file.
 */
export async function giveToOwner(file: string, folder: string): Promise<void> {
	if (process.getuid?.() !== 0) return;
	const { uid, gid } = await stat(folder);
	await chown(file, uid, gid);
}
