import { type ChildProcess, spawn } from "node:child_process";
import { type Account, errorCode } from "../../process/folder-access.ts";
import { StartError } from "../../process/start-error.ts";

/**
 * Settings of glibc, in bytes: a process keeps 2 MB of free memory, and allocates blocks of up to
 * 2 MB from it. By default it returns memory above 128 kB to the kernel after each large batch, and
 * every page that the next batch uses is a page fault.
 */
export const MEMORY = { MALLOC_TRIM_THRESHOLD_: "2097152", MALLOC_MMAP_THRESHOLD_: "2097152" };
/** Excludes the caller's PG* variables. TZ saves initdb the search for the machine's time zone. */
export const ENVIRONMENT = { PATH: "/usr/bin:/bin", LC_ALL: "C", TZ: "UTC", ...MEMORY };

export interface Exit {
	readonly code: number | null;
	readonly signal: NodeJS.Signals | null;
}

export interface Started {
	readonly child: ChildProcess;
	readonly exited: Promise<Exit>;
}

/**
 * Starts a program in its own process group: Ctrl-C in a terminal reaches only this process, which
 * decides when the database stops.
 */
export function start(
	program: string,
	args: string[],
	account: Account | undefined,
	output: number | "pipe",
): Started {
	const child = spawn(program, args, {
		cwd: "/",
		env: ENVIRONMENT,
		detached: true,
		stdio: ["ignore", output, output],
		...account,
	});
	const exited = new Promise<Exit>((resolve, reject) => {
		child.once("exit", (code, signal) => resolve({ code, signal }));
		child.on("error", (error) => reject(cannotRun(program, account, error)));
	});
	exited.catch(() => undefined);
	return { child, exited };
}

function cannotRun(program: string, account: Account | undefined, error: Error): StartError {
	const code = errorCode(error);
	if (code === "ENOENT")
		return new StartError(
			`${program} cannot be run: it needs glibc, so use a Debian-based image instead of Alpine`,
		);
	if (account && ["EPERM", "EINVAL"].includes(code)) {
		return new StartError(
			`Postgres does not run as root, and this root cannot become uid ${account.uid}: ` +
				"run this program as an ordinary user",
		);
	}
	return new StartError(`${program} cannot be run: ${error.message}`);
}

/** The error message in the output of initdb or Postgres. */
export function lastError(output: string): string | undefined {
	const lines = output.split("\n").map((line) => line.trim());
	const line =
		lines.findLast((line) => /\b(FATAL|PANIC|error):/.test(line)) ?? lines.findLast(Boolean);
	return line?.replace(/^.*?\b(FATAL|PANIC|error):\s*/, "");
}
