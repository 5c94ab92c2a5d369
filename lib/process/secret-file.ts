import { randomBytes } from "node:crypto";
import { link, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { errorCode, giveToOwner, makeFolders, syncFolder } from "./folder-access.ts";
import { StartError } from "./start-error.ts";

/**
 * Reads a secret from a file, or creates it. Only the owner can read the file. Concurrent processes
 * get the same secret.
 *
 * @throws StartError if the file can be neither read nor written
 */
export async function readOrCreateSecret(
	folder: string,
	name: string,
	create: () => string,
): Promise<string> {
	try {
		return (await readSecret(folder, name)) ?? (await write(folder, name, create()));
	} catch (error) {
		if (error instanceof StartError) throw error;
		const user = `this user (uid ${process.getuid?.()})`;
		throw new StartError(
			`Cannot read or write ${join(folder, name)} (${errorCode(error) || error}): ` +
				`grant ${user} access to it, or choose another folder`,
		);
	}
}

/** Reads a secret; undefined if the file does not exist or is empty. */
export async function readSecret(folder: string, name: string): Promise<string | undefined> {
	try {
		return (await readFile(join(folder, name), "utf8")).trim() || undefined;
	} catch (error) {
		if (errorCode(error) === "ENOENT") return undefined;
		throw error;
	}
}

async function write(folder: string, name: string, text: string): Promise<string> {
	await makeFolders(folder);
	const draft = `${join(folder, name)}.${randomBytes(6).toString("hex")}`;
	await writeFile(draft, `${text}\n`, { mode: 0o600, flag: "wx", flush: true });
	try {
		await giveToOwner(draft, folder);
		await link(draft, join(folder, name));
		await syncFolder(folder);
		return text;
	} catch (error) {
		if (errorCode(error) !== "EEXIST") throw error;
		const existing = await readSecret(folder, name);
		if (!existing) throw new StartError(`${join(folder, name)} is empty: delete it`);
		return existing;
	} finally {
		await rm(draft, { force: true });
	}
}
