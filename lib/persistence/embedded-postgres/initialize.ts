import { randomBytes } from "node:crypto";
import { chown, mkdir, rename, rm, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { syncFolder } from "../../process/folder-access.ts";
import { StartError } from "../../process/start-error.ts";
import type { DataFolder } from "./folder.ts";
import { lastError, start } from "./spawn.ts";

export const USER = "postgres";

/** Creates the cluster under a temporary name, so that an interrupted one is never used. */
export async function initialize(
	native: string,
	{ pgData, account, password }: DataFolder,
): Promise<void> {
	const stage = join(dirname(pgData), `initdb-${randomBytes(6).toString("hex")}`);
	const [draft, passwordFile] = [join(stage, "pgdata"), join(stage, "password")];
	try {
		await mkdir(stage, { mode: 0o700 });
		await writeFile(passwordFile, password, { mode: 0o600 });
		if (account)
			for (const path of [passwordFile, stage]) await chown(path, account.uid, account.gid);
		// Postgres' builtin C.UTF-8 sorts identically on every machine. The C library of macOS lacks
		// that locale; there it is C.
		const locale = [
			"--locale-provider=builtin",
			"--builtin-locale=C.UTF-8",
			`--locale=${process.platform === "darwin" ? "C" : "C.UTF-8"}`,
		];
		const args = [
			"-D",
			draft,
			"-U",
			USER,
			`--pwfile=${passwordFile}`,
			"-A",
			"scram-sha-256",
			"-E",
			"UTF8",
			...locale,
			"--no-instructions",
		];
		const { child, exited } = start(join(native, "bin/initdb"), args, account, "pipe");
		let output = "";
		for (const stream of [child.stdout, child.stderr])
			stream?.on("data", (chunk) => (output += chunk));
		const { code, signal } = await exited;
		if (/could not look up effective user ID/.test(output)) {
			throw new StartError(
				`initdb requires a user with a name, and uid ${process.getuid?.()} has none: ` +
					"add it to /etc/passwd, or run as another user",
			);
		}
		if (code !== 0)
			throw new StartError(
				`the database could not be made in ${pgData}: ` +
					(lastError(output) ?? `initdb ended with ${code ?? signal}`),
			);
		await rename(draft, pgData);
		await syncFolder(dirname(pgData));
	} catch (error) {
		if (error instanceof StartError) throw error;
		throw new StartError(
			`the database could not be made in ${pgData}: ${(error as Error).message}`,
		);
	} finally {
		await rm(stage, { recursive: true, force: true });
	}
}
