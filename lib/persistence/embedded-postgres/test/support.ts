import { type ChildProcess, execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { readdirSync, readFileSync } from "node:fs";
import { chmod, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import pg from "pg";
import { eventually } from "../../../../test/support/eventually.ts";
import { canReach, ENTER, READ } from "../../../process/folder-access.ts";
import { findProcess } from "../../../process/process-lock.ts";
import { type EmbeddedPostgres, startEmbeddedPostgres } from "../embedded-postgres.ts";

export const isRoot = process.getuid?.() === 0;
/**
 * Whether this checkout can run as another user: root can switch, but others cannot enter a
 * checkout below /root.
 */
export const canSwitchUser =
	isRoot && (await canReach(process.execPath, { uid: 1, gid: 1 }, READ | ENTER));

const cleanUps: (() => Promise<unknown> | unknown)[] = [];

/** Registers clean-up after the test, in reverse order. */
export function afterwards(step: () => Promise<unknown> | unknown): void {
	cleanUps.push(step);
}

export async function cleanUp(): Promise<void> {
	// A failed step leaves no process or folder of the others.
	const failures: unknown[] = [];
	for (const step of cleanUps.splice(0).reverse()) {
		try {
			await step();
		} catch (error) {
			failures.push(error);
		}
	}
	if (failures.length > 0) throw failures[0];
}

/** An empty folder that all users may enter. */
export async function makeFolder(parent = tmpdir()): Promise<string> {
	const folder = await mkdtemp(join(parent, "embedded-postgres-"));
	afterwards(() => rm(folder, { recursive: true, force: true }));
	await chmod(folder, 0o755);
	return folder;
}

let template: Promise<string> | undefined;
async function makeTemplate(): Promise<string> {
	const dataDir = await mkdtemp(join(tmpdir(), "embedded-postgres-template-"));
	await chmod(dataDir, 0o755);
	await (await startEmbeddedPostgres({ dataDir })).stop();
	return dataDir;
}
/** A data folder from an earlier start, which is faster than a new one. */
export async function makeUsedFolder(): Promise<string> {
	template ??= makeTemplate();
	const folder = await makeFolder();
	// Unlike fs.cp, it keeps the owner of each file.
	await promisify(execFile)("cp", ["-a", `${await template}/.`, folder]);
	return folder;
}
/** Removes the template of used folders. */
export async function removeTemplate(): Promise<void> {
	if (template) await rm(await template, { recursive: true, force: true });
	template = undefined;
}

/**
 * Records the status messages of a start, except those about a slow one, which depend on the
 * machine.
 */
export function recordLines() {
	const lines: string[] = [];
	const log = (line: string) => {
		if (!/^Postgres is (still starting|waiting)/.test(line)) lines.push(line);
	};
	return { lines, log };
}

type Address = Pick<EmbeddedPostgres, "host" | "port" | "user" | "password">;

export async function connect({ host, port, user, password }: Address): Promise<pg.Client> {
	const client = new pg.Client({ host, port, user, password, database: "postgres" });
	client.on("error", () => undefined);
	await client.connect();
	return client;
}

export async function query(address: Address, sql: string): Promise<Record<string, unknown>[]> {
	const client = await connect(address);
	try {
		return (await client.query(sql)).rows;
	} finally {
		await client.end();
	}
}

export const isAlive = async (pid: number) => (await findProcess(pid)) !== undefined;

export const gone = (pid: number) =>
	eventually(async () => {
		if (await isAlive(pid)) throw new Error(`process ${pid} has not ended`);
	});

/** The processes whose command line contains all of these words. */
export async function processesWith(...words: string[]): Promise<number[]> {
	const found: number[] = [];
	for (const name of readdirSync("/proc")) {
		const line = /^\d+$/.test(name) ? commandLine(name) : "";
		if (line && words.every((word) => line.includes(word)) && (await isAlive(Number(name))))
			found.push(Number(name));
	}
	return found;
}

/** Reads synchronously, which takes a tenth of the CPU time. */
function commandLine(pid: string): string {
	try {
		return readFileSync(`/proc/${pid}/cmdline`, "utf8");
	} catch {
		// The process has ended.
		return "";
	}
}

interface Program {
	readonly child: ChildProcess;
	/** Its first line of output: the address of its Postgres, or the error. */
	readonly outcome: Promise<Address & { pid: number; error?: string }>;
}

/** Starts a separate program that starts Postgres and keeps running. */
export function runProgram(
	dataDir: string,
	options: { uid?: number; env?: Record<string, string> } = {},
): Program {
	const script = fileURLToPath(new URL("program.ts", import.meta.url));
	const account = options.uid === undefined ? {} : { uid: options.uid, gid: options.uid };
	const env = { PATH: process.env.PATH, ...options.env };
	const child = spawn(process.execPath, [script, dataDir], {
		cwd: "/",
		env,
		stdio: ["ignore", "pipe", "inherit"],
		...account,
	});
	let postgres: number | undefined;
	afterwards(async () => {
		if (child.exitCode === null && child.signalCode === null && child.kill("SIGKILL"))
			await once(child, "exit");
		if (postgres) await gone(postgres);
	});
	const lines = createInterface({ input: child.stdout! });
	const outcome = once(lines, "line").then(([line]) => {
		const result = JSON.parse(line);
		postgres = result.pid;
		return result;
	});
	return { child, outcome };
}
