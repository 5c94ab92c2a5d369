import { execFile } from "node:child_process";
import { symlinkSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { StartError } from "../lib/start-error.ts";

const run = promisify(execFile);

/**
 * Another revision's checkout, as a worktree of git in `folder`, with the modules that are here, or its own where its lock file differs.
 * @throws StartError if there is no such revision
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
		throw new StartError(`there is no revision ${revision}: give --vs a commit, a branch or a tag of this repository`);
	}
	onEnd(() => git("worktree", "remove", "--force", path));
	await git("worktree", "add", "--detach", path, revision);
	const [ours, theirs] = await Promise.all([root, path].map((place) => readFile(join(place, "package-lock.json"), "utf8")));
	if (ours === theirs) symlinkSync(join(root, "node_modules"), join(path, "node_modules"));
	else await run("npm", ["ci", "--no-audit", "--no-fund"], { cwd: path, maxBuffer: 2 ** 26 });
	return path;
}
