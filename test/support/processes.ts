import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, openSync, readFileSync } from "node:fs";
import type { AddressInfo } from "node:net";
import { createServer } from "node:net";
import type { Writable } from "node:stream";

/** A process of its own, which ends with the test whatever becomes of it. */
export interface Process {
	readonly pid: number;
	/** Rejects as soon as the process has ended, with the end of its log. */
	readonly failure: Promise<never>;
	/** What it has written so far. */
	log(): string;
	pause(): void;
	resume(): void;
	/** Asks it to end (SIGTERM), waits, and answers its exit code. */
	term(): Promise<number | null>;
	/** Ends it without a word (SIGKILL). */
	kill(): Promise<void>;
}

export interface Command {
	readonly name: string;
	readonly file: string;
	readonly args: readonly string[];
	readonly cwd?: string;
	readonly env?: Record<string, string | undefined>;
	/** Both of its outputs are appended here. */
	readonly log: string;
}

/**
 * Knows all our processes and kills those that are left when this one ends, even by SIGKILL: its input then ends as well. In a
 * session of its own, so that a Ctrl-C does not reach it.
 */
const GUARD = `
pids=" "
while read -r what pid; do
	case $what in
		started) pids="$pids$pid " ;;
		ended) pids=$(printf %s "$pids" | sed "s/ $pid / /") ;;
	esac
done
for pid in $pids; do kill -9 "$pid"; done`;
let guard: { child: ChildProcess; count: number } | undefined;

function tell(what: "started" | "ended", pid: number): void {
	if (!guard) {
		const child = spawn("sh", ["-c", GUARD], {
			detached: true,
			stdio: ["pipe", "ignore", "ignore"],
		});
		child.unref();
		(child.stdin as Writable & { unref(): void }).unref();
		guard = { child, count: 0 };
	}
	guard.child.stdin!.write(`${what} ${pid}\n`);
	guard.count += what === "started" ? 1 : -1;
	if (guard.count > 0) return;
	guard.child.stdin!.end();
	guard = undefined;
}

export function startProcess({ name, file, args, cwd, env = {}, log }: Command): Process {
	const output = openSync(log, "a");
	const where = cwd === undefined ? {} : { cwd };
	const child = spawn(file, args, {
		...where,
		detached: true,
		stdio: ["ignore", output, output],
		env: { PATH: process.env.PATH, ...env },
	});
	closeSync(output);
	const pid = child.pid;
	if (pid === undefined) throw new Error(`${name}: ${file} cannot be started`);
	tell("started", pid);
	const ended = once(child, "exit").then(([code]) => {
		tell("ended", pid);
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
			// One that is paused would never see it.
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

/** A port that nobody listens on at this moment. */
export async function freePort(): Promise<number> {
	const server = createServer().listen(0, "127.0.0.1");
	await once(server, "listening");
	const { port } = server.address() as AddressInfo;
	server.close();
	await once(server, "close");
	return port;
}
