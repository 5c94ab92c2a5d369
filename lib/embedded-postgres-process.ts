import { type ChildProcess, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { chown, mkdir, open, readFile, rename, rm, writeFile } from "node:fs/promises";
import { createServer, type Socket } from "node:net";
import { basename, dirname, join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { type DataFolder, giveToOwner } from "./embedded-postgres-folder.ts";
import { type Account, errorCode, syncFolder } from "./folder-access.ts";
import { findProcess } from "./process-lock.ts";
import { StartError } from "./start-error.ts";

export const HOST = "127.0.0.1";
export const USER = "postgres";
const POLL_MS = 5;
const READY_TIMEOUT_MS = 120_000;
const MAX_LOG_BYTES = 10 * 1024 * 1024;
/** PG* variables of the caller must not reach into our Postgres. With TZ set, initdb need not search the machine's time zone. */
const ENVIRONMENT = { PATH: "/usr/bin:/bin", LC_ALL: "C", TZ: "UTC" };

export interface Exit {
	readonly code: number | null;
	readonly signal: NodeJS.Signals | null;
}

export interface Started {
	readonly child: ChildProcess;
	readonly exited: Promise<Exit>;
}

/** A group of its own: Ctrl-C in a terminal must reach us alone, so that we decide when the database stops. */
function start(program: string, args: string[], account: Account | undefined, output: number | "pipe"): Started {
	const child = spawn(program, args, { cwd: "/", env: ENVIRONMENT, detached: true, stdio: ["ignore", output, output], ...account });
	const exited = new Promise<Exit>((resolve, reject) => {
		child.once("exit", (code, signal) => resolve({ code, signal }));
		child.once("error", (error) => reject(cannotRun(program, account, error)));
	});
	exited.catch(() => undefined);
	return { child, exited };
}

function cannotRun(program: string, account: Account | undefined, error: Error): StartError {
	const code = errorCode(error);
	if (code === "ENOENT") return new StartError(`${program} cannot be run: it needs glibc, so use a Debian-based image instead of Alpine`);
	if (account && ["EPERM", "EINVAL"].includes(code)) {
		return new StartError(
			`Postgres does not run as root, and this root cannot become uid ${account.uid}: run this program as an ordinary user`,
		);
	}
	return new StartError(`${program} cannot be run: ${error.message}`);
}

/** Makes the cluster under another name first, so that one cut short is never taken for a whole one. */
export async function initialise(native: string, { pgData, account, password }: DataFolder): Promise<void> {
	const stage = join(dirname(pgData), `initdb-${randomBytes(6).toString("hex")}`);
	const [draft, passwordFile] = [join(stage, "pgdata"), join(stage, "password")];
	try {
		await mkdir(stage, { mode: 0o700 });
		await writeFile(passwordFile, password, { mode: 0o600 });
		if (account) for (const path of [passwordFile, stage]) await chown(path, account.uid, account.gid);
		// Postgres' own C.UTF-8 sorts the same on every machine. macOS' C library knows no such locale, so there it stays C.
		const locale = ["--locale-provider=builtin", "--builtin-locale=C.UTF-8", `--locale=${process.platform === "darwin" ? "C" : "C.UTF-8"}`];
		const args = ["-D", draft, "-U", USER, `--pwfile=${passwordFile}`, "-A", "scram-sha-256", "-E", "UTF8", ...locale, "--no-instructions"];
		const { child, exited } = start(join(native, "bin/initdb"), args, account, "pipe");
		let output = "";
		for (const stream of [child.stdout, child.stderr]) stream?.on("data", (chunk) => (output += chunk));
		const { code, signal } = await exited;
		if (code !== 0)
			throw new StartError(`the database could not be made in ${pgData}: ${lastError(output) ?? `initdb ended with ${code ?? signal}`}`);
		await rename(draft, pgData);
		await syncFolder(dirname(pgData));
	} catch (error) {
		if (error instanceof StartError) throw error;
		throw new StartError(`the database could not be made in ${pgData}: ${(error as Error).message}`);
	} finally {
		await rm(stage, { recursive: true, force: true });
	}
}

/** Runs Postgres on a free port until it takes connections. */
export async function launch(native: string, folder: DataFolder, settings: Record<string, string>, log: (line: string) => void) {
	for (let attempt = 1; ; attempt++) {
		const port = await freePort();
		const result = await launchOn(port, native, folder, settings, log);
		if ("child" in result) return { ...result, port };
		const { failure } = result;
		// Another program took the port between our look and Postgres' bind; or the last children of a killed Postgres are still ending.
		const passing = /Address already in use|could not create any TCP\/IP sockets|is still in use/.test(failure);
		if (!passing || attempt === 20)
			throw new StartError(`Postgres did not start: ${lastError(failure) ?? "no reason given"} (see ${folder.logFile})`);
		await delay(attempt * 25);
	}
}

async function launchOn(port: number, native: string, folder: DataFolder, settings: Record<string, string>, log: (line: string) => void) {
	const logFile = await openLog(folder);
	try {
		const { size } = await logFile.stat();
		// cluster_name is how the next start tells a Postgres of ours that outlived us.
		const fixed = { listen_addresses: HOST, port: String(port), unix_socket_directories: "", cluster_name: folder.id };
		const options = Object.entries({ ...settings, ...fixed }).flatMap(([name, value]) => ["-c", `${name}=${value}`]);
		const started = start(join(native, "bin/postgres"), ["-D", folder.pgData, ...options], folder.account, logFile.fd);
		const watcher = stopWithUs(started, folder.account);
		let end: Exit | undefined;
		started.exited.then((exit) => (end = exit)).catch(() => undefined);
		const begun = Date.now();
		for (let told = false; !(await isReady(folder.pgData, started.child.pid)); await delay(POLL_MS)) {
			if (end || started.child.pid === undefined) {
				await started.exited;
				const { size: now } = await logFile.stat();
				const reader = await open(folder.logFile, "r");
				const { buffer } = await reader.read(Buffer.alloc(Math.max(0, now - size)), 0, undefined, size).finally(() => reader.close());
				return { failure: buffer.toString() };
			}
			if (!told && Date.now() - begun > 3000) {
				log("Postgres is still starting, probably recovering from a crash");
				told = true;
			}
			if (Date.now() - begun > READY_TIMEOUT_MS) {
				started.child.kill("SIGQUIT");
				await started.exited;
				throw new StartError(`Postgres did not become ready within ${READY_TIMEOUT_MS / 1000} s: see ${folder.logFile}`);
			}
		}
		started.exited.then(() => watcher.kill("SIGKILL"));
		return started;
	} finally {
		await logFile.close();
	}
}

async function openLog({ logFile, path }: DataFolder) {
	const handle = await open(logFile, "a", 0o600).catch((error) => {
		throw new StartError(`${logFile} cannot be written (${errorCode(error)}): delete it, or run as the user who made it`);
	});
	if ((await handle.stat()).size > MAX_LOG_BYTES) await handle.truncate();
	await giveToOwner(logFile, path);
	return handle;
}

/** Line 8 of postmaster.pid, as pg_ctl reads it. A file of an earlier run has another pid in line 1. */
async function isReady(pgData: string, pid: number | undefined): Promise<boolean> {
	const lines = (await readFile(join(pgData, "postmaster.pid"), "utf8").catch(() => "")).split("\n");
	return Number(lines[0]) === pid && lines[7]?.trim() === "ready";
}

/** Reads from a pipe that closes when this process ends, even by kill -9, and then stops Postgres. */
function stopWithUs({ child }: Started, account: Account | undefined): ChildProcess {
	const script = 'read -r end; kill -INT "$1"';
	const watcher = spawn("/bin/sh", ["-c", script, "postgres-watcher", String(child.pid)], {
		cwd: "/",
		env: ENVIRONMENT,
		detached: true,
		stdio: ["pipe", "ignore", "ignore"],
		...account,
	});
	// Without a shell the next start finds the orphan, as it does when we are killed before this line.
	watcher.on("error", () => undefined);
	watcher.stdin?.on("error", () => undefined);
	watcher.unref();
	(watcher.stdin as Socket | null)?.unref();
	return watcher;
}

async function freePort(): Promise<number> {
	const server = createServer();
	await new Promise<void>((resolve, reject) => server.once("error", reject).listen(0, HOST, resolve));
	const address = server.address();
	await new Promise((resolve) => server.close(resolve));
	if (address === null || typeof address === "string") throw new Error("no port");
	return address.port;
}

function lastError(output: string): string | undefined {
	const lines = output.split("\n").map((line) => line.trim());
	const line = lines.findLast((line) => /\b(FATAL|PANIC|error):/.test(line)) ?? lines.findLast(Boolean);
	return line?.replace(/^.*?\b(FATAL|PANIC|error):\s*/, "");
}

/**
 * Deals with a postmaster.pid that an earlier run has left: a Postgres of ours that outlived its program is stopped, the
 * name of a process that is gone is removed.
 * @throws StartError if somebody else runs a Postgres on these files
 */
export async function recover({ pgData, id }: DataFolder, log: (line: string) => void): Promise<void> {
	const file = join(pgData, "postmaster.pid");
	const pid = Number((await readFile(file, "utf8").catch(() => "")).split("\n")[0]);
	if (!pid) return;
	const found = await findProcess(pid);
	if (!found || pid === process.pid) return rm(file, { force: true });
	const isPostgres = ["postgres", "postmaster"].includes(basename(found.args[0] ?? ""));
	const isOnOurs = isPostgres && (found.args.includes(pgData) || found.folder === pgData);
	if (!isOnOurs) return rm(file, { force: true });
	if (!found.args.includes(`cluster_name=${id}`)) {
		throw new StartError(`another Postgres (process ${pid}) runs on ${pgData}: stop it first`);
	}
	log(`stopping Postgres process ${pid}, which outlived the program that started it`);
	for (const [signal, patience] of [
		["SIGINT", 4000],
		["SIGQUIT", 3000],
		["SIGKILL", 3000],
	] as const) {
		try {
			process.kill(pid, signal);
		} catch {
			// it has just ended
		}
		for (const until = Date.now() + patience; Date.now() < until; await delay(POLL_MS * 2)) {
			if ((await findProcess(pid))?.started !== found.started) return;
		}
	}
	throw new StartError(`Postgres process ${pid} on ${pgData} cannot be stopped: end it by hand, or restart the machine`);
}
