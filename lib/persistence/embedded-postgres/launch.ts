import { spawn } from "node:child_process";
import { open, readFile } from "node:fs/promises";
import { createServer, type Socket } from "node:net";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { type Account, errorCode, giveToOwner } from "../../process/folder-access.ts";
import { StartError } from "../../process/start-error.ts";
import type { DataFolder } from "./folder.ts";
import { ENVIRONMENT, type Exit, lastError, type Started, start } from "./spawn.ts";

export const HOST = "127.0.0.1";
const POLL_MS = 5;
const READY_TIMEOUT_MS = 120_000;
const MAX_LOG_BYTES = 10 * 1024 * 1024;

/** Starts Postgres on the requested or a free port, and waits until it accepts connections. */
export async function launch(
	native: string,
	folder: DataFolder,
	settings: Record<string, string>,
	log: (line: string) => void,
	requestedPort?: number,
) {
	const begun = Date.now();
	for (let attempt = 1; ; attempt++) {
		const port = requestedPort ?? (await freePort());
		const result = await launchOn(port, native, folder, settings, log);
		if ("child" in result) return { ...result, port };
		const { failure } = result;
		// Another program took the port before Postgres bound it.
		const isPortTaken = /Address already in use/.test(failure) && attempt < 20;
		// The last children of a killed Postgres are still ending, which a busy machine delays.
		const isEnding = /is still in use/.test(failure) && Date.now() - begun < READY_TIMEOUT_MS;
		if (!isPortTaken && !isEnding)
			throw new StartError(
				"Postgres did not start: " +
					`${lastError(failure) ?? "no reason given"} (see ${folder.logFile})`,
			);
		if (isEnding && attempt === 10)
			log("Postgres is waiting for the last processes of an earlier run");
		await delay(Math.min(attempt, 20) * 25);
	}
}

async function launchOn(
	port: number,
	native: string,
	folder: DataFolder,
	settings: Record<string, string>,
	log: (line: string) => void,
) {
	const logFile = await openLog(folder);
	try {
		const { size } = await logFile.stat();
		// By cluster_name the next start recognizes a Postgres of ours that outlived its program.
		const fixed = {
			listen_addresses: HOST,
			port: String(port),
			unix_socket_directories: "",
			cluster_name: folder.id,
		};
		const options = Object.entries({ ...settings, ...fixed }).flatMap(([name, value]) => [
			"-c",
			`${name}=${value}`,
		]);
		const started = start(
			join(native, "bin/postgres"),
			["-D", folder.pgData, ...options],
			folder.account,
			logFile.fd,
		);
		stopWithProcess(started, folder.account);
		let end: Exit | undefined;
		started.exited.then((exit) => (end = exit)).catch(() => undefined);
		const startedAt = Date.now();
		for (
			let logged = false;
			!(await isReady(folder.pgData, started.child.pid));
			await delay(POLL_MS)
		) {
			if (end || started.child.pid === undefined) {
				await started.exited;
				const { size: now } = await logFile.stat();
				const reader = await open(folder.logFile, "r");
				const { buffer } = await reader
					.read(Buffer.alloc(Math.max(0, now - size)), 0, undefined, size)
					.finally(() => reader.close());
				return { failure: buffer.toString() };
			}
			if (!logged && Date.now() - startedAt > 3000) {
				log("Postgres is still starting, probably recovering from a crash");
				logged = true;
			}
			if (Date.now() - startedAt > READY_TIMEOUT_MS) {
				started.child.kill("SIGQUIT");
				await started.exited;
				throw new StartError(
					`Postgres is not ready after ${READY_TIMEOUT_MS / 1000} s: see ${folder.logFile}`,
				);
			}
		}
		return started;
	} finally {
		await logFile.close();
	}
}

async function openLog({ logFile, path }: DataFolder) {
	const handle = await open(logFile, "a", 0o600).catch((error) => {
		throw new StartError(
			`${logFile} cannot be written (${errorCode(error)}): ` +
				"delete it, or run as the user who made it",
		);
	});
	if ((await handle.stat()).size > MAX_LOG_BYTES) await handle.truncate();
	await giveToOwner(logFile, path);
	return handle;
}

/**
 * Reads line 8 of postmaster.pid, as pg_ctl does. A file of an earlier run has another pid in line
 * 1.
 */
async function isReady(pgData: string, pid: number | undefined): Promise<boolean> {
	const lines = (await readFile(join(pgData, "postmaster.pid"), "utf8").catch(() => "")).split(
		"\n",
	);
	return Number(lines[0]) === pid && lines[7]?.trim() === "ready";
}

/**
 * Starts a watcher that reads from a pipe and stops Postgres when the pipe closes: this process has
 * ended, even by kill -9.
 */
function stopWithProcess({ child, exited }: Started, account: Account | undefined): void {
	if (child.pid === undefined) return;
	const script = 'read -r end; kill -INT "$1"';
	const watcher = spawn("/bin/sh", ["-c", script, "postgres-watcher", String(child.pid)], {
		cwd: "/",
		env: ENVIRONMENT,
		detached: true,
		stdio: ["pipe", "ignore", "ignore"],
		...account,
	});
	// Without a shell, the next start finds the orphan, as it does after a kill before this line.
	watcher.on("error", () => undefined);
	watcher.stdin?.on("error", () => undefined);
	watcher.unref();
	(watcher.stdin as Socket | null)?.unref();
	exited.then(() => watcher.kill("SIGKILL"));
}

async function freePort(): Promise<number> {
	const server = createServer();
	await new Promise<void>((resolve, reject) =>
		server.once("error", reject).listen(0, HOST, resolve),
	);
	const address = server.address();
	await new Promise((resolve) => server.close(resolve));
	if (address === null || typeof address === "string") throw new Error("no port");
	return address.port;
}
