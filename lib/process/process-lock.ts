import { execFile } from "node:child_process";
import { randomBytes } from "node:crypto";
import { link, readFile, readlink, rename, rm, writeFile } from "node:fs/promises";
import { promisify } from "node:util";
import { errorCode } from "./folder-access.ts";

/** What can be told of a process that we did not start. A zombie counts as dead. */
export interface RunningProcess {
	/** Differs between two processes that had the same pid, one after the other. */
	readonly started: string;
	readonly args: readonly string[];
	/** Undefined where it cannot be read. */
	readonly folder: string | undefined;
}

/** Looks a process up by its pid; undefined if there is none. */
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
		// The name in field 2 is in brackets and may hold spaces. After it: field 3 is the state, field 22 the start time (proc(5)).
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
		// lstart is five words: "Sun Nov 23 04:37:11 2025"
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

/** Somebody else holds the lock. */
export class LockedError extends Error {
	readonly pid: number;
	constructor(pid: number) {
		super(`held by process ${pid}`);
		this.pid = pid;
	}
}

/**
 * Takes a lock that ends with this process, however it ends: the file names its holder by pid and start time, and a
 * holder that is gone is overruled. Only for processes of one machine.
 * @throws LockedError if the holder is alive
 */
export async function lockFile(path: string): Promise<ProcessLock> {
	const self = await findProcess(process.pid);
	const mine = JSON.stringify({
		pid: process.pid,
		started: self?.started,
		token: randomBytes(8).toString("hex"),
	});
	const draft = `${path}.${randomBytes(6).toString("hex")}`;
	await writeFile(draft, mine, { mode: 0o644 });
	try {
		for (;;) {
			try {
				await link(draft, path);
				return { release: () => releaseLock(path, mine) };
			} catch (error) {
				if (errorCode(error) !== "EEXIST") throw error;
			}
			const theirs = await readFile(path, "utf8").catch(() => "");
			const holder = parseHolder(theirs);
			const alive = holder && (await findProcess(holder.pid));
			if (alive && alive.started === holder.started) throw new LockedError(holder.pid);
			await removeStale(path, theirs);
		}
	} finally {
		await rm(draft, { force: true });
	}
}

function parseHolder(content: string): { pid: number; started: string } | undefined {
	try {
		return JSON.parse(content);
	} catch {
		return undefined;
	}
}

/** Two that find the same stale lock must not remove each other's new one: what was moved away is looked at before it is dropped. */
async function removeStale(path: string, seen: string): Promise<void> {
	const aside = `${path}.${randomBytes(6).toString("hex")}`;
	try {
		await rename(path, aside);
	} catch (error) {
		if (errorCode(error) === "ENOENT") return;
		throw error;
	}
	if ((await readFile(aside, "utf8")) !== seen) await link(aside, path).catch(() => undefined);
	await rm(aside, { force: true });
}

async function releaseLock(path: string, mine: string): Promise<void> {
	if ((await readFile(path, "utf8").catch(() => "")) === mine) await rm(path, { force: true });
}
