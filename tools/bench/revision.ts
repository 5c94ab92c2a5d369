import { execFile } from "node:child_process";
import { symlinkSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { StartError } from "../../lib/process/start-error.ts";

const run = promisify(execFile);

/**
 * Checks out a revision as a git worktree in `folder` and returns its path. It shares our
 * node_modules unless its lock file differs; then `npm ci` installs its own.
 *
 * @throws StartError if the revision does not exist
 */
export async function checkOut(
	root: string,
	revision: string,
	folder: string,
	onEnd: (stop: () => Promise<unknown>) => void,
): Promise<string> {
	const path = join(folder, "checkout");
	const git = (...args: string[]) => run("git", ["-C", root, ...args]);
	try {
		await git("rev-parse", "--verify", `${revision}^{commit}`);
	} catch {
		throw new StartError(
			`unknown revision ${revision}: --vs expects a commit, branch or tag of this repository`,
		);
	}
	onEnd(() => git("worktree", "remove", "--force", path));
	await git("worktree", "add", "--detach", path, revision);
	const [ownLock, otherLock] = await Promise.all(
		[root, path].map((checkout) => readFile(join(checkout, "package-lock.json"), "utf8")),
	);
	if (ownLock === otherLock) symlinkSync(join(root, "node_modules"), join(path, "node_modules"));
	else await run("npm", ["ci", "--no-audit", "--no-fund"], { cwd: path, maxBuffer: 2 ** 26 });
	return path;
}
