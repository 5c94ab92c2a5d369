import { type ChildProcess, spawn } from "node:child_process";
import { randomInt } from "node:crypto";
import { once } from "node:events";
import { closeSync, openSync, readFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Writable } from "node:stream";

/**
 * Folder of V8's compile cache for child processes, which halves the CPU time of loading modules.
 */
export const NODE_COMPILE_CACHE =
	process.env.NODE_COMPILE_CACHE ?? join(tmpdir(), "moleculer-commerce-compile-cache");

/** Child process that ends with the test run under all circumstances. */
export interface Process {
	readonly pid: number;
	/** Rejects when the process has ended, with the end of its log. */
	readonly failure: Promise<never>;
	/** Output so far. */
	log(): string;
	pause(): void;
	resume(): void;
	/** Sends SIGTERM and waits. @returns the exit code */
	term(): Promise<number | null>;
	/** Sends SIGKILL and waits. */
	kill(): Promise<void>;
}

export interface Command {
	readonly name: string;
	readonly file: string;
	readonly args: readonly string[];
	readonly cwd?: string;
	readonly env?: Record<string, string | undefined>;
	/** File to which stdout and stderr are appended. */
	readonly log: string;
}

/**
 * Shell program that reads the pids of child processes and kills the remaining ones when its input
 * ends, which happens even if this process is killed. It is detached, so Ctrl-C does not reach it.
 */
const GUARD = `
pids=" "
while read -r event pid; do
	case $event in
		started) pids="$pids$pid " ;;
		ended) pids="\${pids%% $pid *} \${pids#* $pid }" ;;
	esac
done
for pid in $pids; do kill -9 "$pid"; done`;
let guard: { child: ChildProcess; count: number } | undefined;

function notifyGuard(event: "started" | "ended", pid: number): void {
	if (!guard) {
		const child = spawn("sh", ["-c", GUARD], {
			detached: true,
			stdio: ["pipe", "ignore", "ignore"],
		});
		child.unref();
		(child.stdin as Writable & { unref(): void }).unref();
		guard = { child, count: 0 };
	}
	guard.child.stdin!.write(`${event} ${pid}\n`);
	guard.count += event === "started" ? 1 : -1;
	if (guard.count > 0) return;
	guard.child.stdin!.end();
	guard = undefined;
}

export function startProcess({ name, file, args, cwd, env = {}, log }: Command): Process {
	const output = openSync(log, "a");
	const options = cwd === undefined ? {} : { cwd };
	const child = spawn(file, args, {
		...options,
		detached: true,
		stdio: ["ignore", output, output],
		env: { PATH: process.env.PATH, NODE_COMPILE_CACHE, ...env },
	});
	closeSync(output);
	const pid = child.pid;
	if (pid === undefined) throw new Error(`${name}: ${file} cannot be started`);
	notifyGuard("started", pid);
	const ended = once(child, "exit").then(([code]) => {
		notifyGuard("ended", pid);
		return code as number | null;
	});
	const read = () => readFileSync(log, "utf8");
	const failure = ended.then((code) =>
		Promise.reject(
			new Error(`${name} has ended with ${code ?? child.signalCode}:\n${read().slice(-3000)}`),
		),
	);
	failure.catch(() => undefined);
	const send = (signal: NodeJS.Signals) => {
		if (child.exitCode === null && child.signalCode === null) child.kill(signal);
	};
	return {
		pid,
		failure,
		log: read,
		pause: () => send("SIGSTOP"),
		resume: () => send("SIGCONT"),
		async term() {
			// A paused process does not receive SIGTERM.
			send("SIGCONT");
			send("SIGTERM");
			return ended;
		},
		async kill() {
			send("SIGKILL");
			await ended;
		},
	};
}

/**
 * Range of {@link freePort}. Linux assigns ports from 32768 on to outgoing connections, which would
 * take the port of a server while it restarts.
 */
const PORTS = { from: 15_000, below: 32_000 };
/** More than Jest's workers. */
const WORKERS = 10;
/** Ports of a worker. Others could assign a port on which its server does not listen yet. */
const SHARE = (PORTS.below - PORTS.from) / WORKERS;
const firstPort = PORTS.from + (Number(process.env.JEST_WORKER_ID ?? 0) % WORKERS) * SHARE;
const assigned = new Set<number>();

/** A random port that this process has not assigned before, and on which no server is listening. */
export async function freePort(): Promise<number> {
	for (;;) {
		const port = randomInt(firstPort, firstPort + SHARE);
		if (assigned.has(port)) continue;
		assigned.add(port);
		const server = createServer().listen(port, "127.0.0.1");
		try {
			await once(server, "listening");
		} catch (error) {
			if ((error as NodeJS.ErrnoException).code === "EADDRINUSE") continue;
			throw error;
		}
		server.close();
		await once(server, "close");
		return port;
	}
}
