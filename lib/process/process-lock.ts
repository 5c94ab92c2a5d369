import { execFile } from "node:child_process";
import { createHash, randomBytes } from "node:crypto";
import { link, readFile, readlink, rm, writeFile } from "node:fs/promises";
import { promisify } from "node:util";
import { errorCode } from "./folder-access.ts";

/** A running process of this machine. A zombie does not count. */
interface RunningProcess {
	/** Start time; distinguishes two processes that had the same PID. */
	readonly started: string;
	readonly args: readonly string[];
	/** Working directory; undefined if it cannot be read. */
	readonly folder: string | undefined;
}

/** Finds a running process by its PID. */
export async function findProcess(pid: number): Promise<RunningProcess | undefined> {
	return process.platform === "linux" ? findInProc(pid) : findWithPs(pid);
}

async function findInProc(pid: number): Promise<RunningProcess | undefined> {
	try {
		const [stat, commandLine, boot] = await Promise.all([
			readFile(`/proc/${pid}/stat`, "utf8"),
			readFile(`/proc/${pid}/cmdline`, "utf8"),
			readFile("/proc/sys/kernel/random/boot_id", "utf8").catch(() => ""),
		]);
		// Field 2, the name, is in parentheses and may contain spaces. Field 3 is the state, and field
		// 22 is the start time (proc(5)).
		const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
		if (fields[0] === "Z" || fields[0] === "X") return undefined;
		const folder = await readlink(`/proc/${pid}/cwd`).catch(() => undefined);
		return { started: `${boot.trim()}/${fields[19]}`, args: commandLine.split("\0"), folder };
	} catch {
		return undefined;
	}
}

async function findWithPs(pid: number): Promise<RunningProcess | undefined> {
	try {
		const { stdout } = await promisify(execFile)(
			"ps",
			["-ww", "-o", "stat=,lstart=,command=", "-p", String(pid)],
			{
				env: { PATH: "/bin:/usr/bin", LC_ALL: "C" },
			},
		);
		// lstart consists of five words: "Sun Nov 23 04:37:11 2025"
		const [state = "", ...words] = stdout.trim().split(/\s+/);
		if (state.startsWith("Z")) return undefined;
		return { started: words.slice(0, 5).join(" "), args: words.slice(5), folder: undefined };
	} catch {
		return undefined;
	}
}

export interface ProcessLock {
	release(): Promise<void>;
}

/** Another process holds the lock. */
export class LockedError extends Error {
	readonly pid: number;
	constructor(pid: number) {
		super(`held by process ${pid}`);
		this.pid = pid;
	}
}

/**
 * Acquires a lock between processes of one machine. The lock expires with its process, also after a
 * crash: the file contains the PID and start time of the holder, and the lock of a process that no
 * longer exists is replaced.
 *
 * @throws LockedError if the holder is running, or a process that is replacing a stale lock
 */
export async function lockFile(path: string): Promise<ProcessLock> {
	const self = await findProcess(process.pid);
	const own = JSON.stringify({
		pid: process.pid,
		started: self?.started,
		token: randomBytes(8).toString("hex"),
	});
	const draft = `${path}.${randomBytes(6).toString("hex")}`;
	await writeFile(draft, own, { mode: 0o644 });
	try {
		for (;;) {
			try {
				await link(draft, path);
				return { release: () => releaseLock(path, own) };
			} catch (error) {
				if (errorCode(error) !== "EEXIST") throw error;
			}
			const found = await readLock(path);
			if (found === undefined) continue;
			const holder = parseHolder(found);
			const alive = holder && (await findProcess(holder.pid));
			if (alive && alive.started === holder.started) throw new LockedError(holder.pid);
			await removeStale(path, found);
		}
	} finally {
		await rm(draft, { force: true });
	}
}

/** The content of a lock file; undefined if it does not exist. */
function readLock(path: string): Promise<string | undefined> {
	return readFile(path, "utf8").catch((error) => {
		if (errorCode(error) === "ENOENT") return undefined;
		throw error;
	});
}

function parseHolder(content: string): { pid: number; started: string } | undefined {
	try {
		return JSON.parse(content);
	} catch {
		return undefined;
	}
}

/**
 * Removes the lock of a process that no longer exists. A process may be suspended between reading a
 * lock and removing it, while another one replaces it. So only the holder of a second lock removes
 * one particular stale lock, which stays the same until then: its content is unique. The second
 * lock can become stale as well, and is then replaced in the same way.
 */
async function removeStale(path: string, stale: string): Promise<void> {
	const id = createHash("sha256").update(stale).digest("hex").slice(0, 16);
	const removal = await lockFile(`${path}.${id}`);
	try {
		if ((await readLock(path)) === stale) await rm(path, { force: true });
	} finally {
		await removal.release();
	}
}

async function releaseLock(path: string, own: string): Promise<void> {
	if ((await readFile(path, "utf8").catch(() => "")) === own) await rm(path, { force: true });
}
