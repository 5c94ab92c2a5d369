import { randomBytes } from "node:crypto";
import { readFile } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import { errorCode, giveToOwner, writeDurably } from "../../process/folder-access.ts";
import { StartError } from "../../process/start-error.ts";

/** The file that identifies a data folder of this program. */
export const MARKER = "embedded-postgres.json";

export interface Marker {
	readonly id: string;
	readonly pgData: string;
	readonly made: boolean;
}

/**
 * Reads the marker of a data folder; undefined if the folder has none.
 * @throws StartError if the file is damaged or this user may not read it
 */
export async function readMarker(path: string): Promise<Marker | undefined> {
	const file = join(path, MARKER);
	const text = await readFile(file, "utf8").catch((error) => {
		if (errorCode(error) === "ENOENT") return undefined;
		throw new StartError(
			`${file} cannot be read (${errorCode(error)}): run as the user who made the folder`,
		);
	});
	if (text === undefined) return undefined;
	try {
		const { id, pgData, made } = JSON.parse(text);
		return { id, pgData: resolve(path, pgData), made };
	} catch {
		throw new StartError(
			`${file} is damaged: restore it from a backup, or choose an empty or a new folder`,
		);
	}
}

/** Inside the folder the path is relative, so that the folder can be moved. */
export async function writeMarker(path: string, { id, pgData, made }: Marker): Promise<void> {
	const about = "a database of this program; do not edit";
	const content = { about, id, pgData: dirname(pgData) === path ? "pgdata" : pgData, made };
	await writeDurably(join(path, MARKER), `${JSON.stringify(content, undefined, "\t")}\n`, 0o644);
	await giveToOwner(join(path, MARKER), path);
}

/** Reads the password of the cluster, or creates it before the cluster. */
export async function keepPassword(path: string, hasData: boolean): Promise<string> {
	const file = join(path, "password");
	const previous = await readFile(file, "utf8").catch((error) => {
		if (errorCode(error) === "ENOENT") return "";
		throw new StartError(
			`${file} cannot be read (${errorCode(error)}): run as the user who made the folder`,
		);
	});
	if (previous.trim()) return previous.trim();
	if (hasData)
		throw new StartError(
			`${file} is missing, and the data cannot be opened without it: restore it from a backup`,
		);
	const password = randomBytes(24).toString("base64url");
	await writeDurably(file, `${password}\n`);
	await giveToOwner(file, path);
	return password;
}
