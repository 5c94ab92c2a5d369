import { readdirSync, readFileSync } from "node:fs";
import { setTimeout as after } from "node:timers/promises";
import pg from "pg";
import {
	type EmbeddedPostgresOptions,
	startEmbeddedPostgres,
} from "../../lib/persistence/embedded-postgres/embedded-postgres.ts";
import { type Command, type Process, startProcess } from "../../test/support/processes.ts";

/** A target of faults: a node, or a server that all nodes depend on. */
export interface Member {
	readonly name: string;
	readonly kind: "node" | "nats" | "redis" | "postgres";
	/** Id of the current process. */
	readonly pid: number | undefined;
	pause(): void;
	resume(): void;
	/** Kills the process (SIGKILL). */
	kill(): Promise<void>;
	/** Terminates the process (SIGTERM). */
	term(): Promise<void>;
	/** Starts the process, and waits until it is ready. */
	start(): Promise<void>;
	/** Kills the process and prevents further starts. */
	end(): Promise<void>;
	log(): string;
}
const START_MS = 60_000;

/** A process that restarts with the same command. `ready` rejects until the process is ready. */
export function member(
	kind: Member["kind"],
	command: Command,
	ready: () => Promise<unknown>,
): Member {
	let process: Process | undefined;
	let ended = false;
	return {
		name: command.name,
		kind,
		get pid() {
			return process?.pid;
		},
		pause: () => process?.pause(),
		resume: () => process?.resume(),
		kill: async () => process?.kill(),
		async term() {
			// A process whose dependencies are unavailable may not terminate by itself.
			const slow = after(10_000, "slow" as const, { ref: false });
			if (process && (await Promise.race([process.term(), slow])) === "slow") await process.kill();
		},
		/** Restarts a process that exits during its start, like a process supervisor. */
		async start() {
			for (const end = Date.now() + START_MS; !ended; ) {
				const current = startProcess(command);
				process = current;
				try {
					return await Promise.race([current.failure, until(ready)]);
				} catch (error) {
					await current.kill();
					if (Date.now() > end) throw error;
					await after(300);
				}
			}
		},
		async end() {
			ended = true;
			await process?.kill();
		},
		log: () => process?.log() ?? "",
	};
}

/**
 * The kernel keeps the writes of killed processes, so fsync would only cost time. With more
 * iterations, opening a connection takes more CPU time than most statements.
 */
const SETTINGS = { fsync: "off", max_connections: "500", scram_iterations: "1" };

/**
 * An embedded Postgres of this process. `kill` kills one of its child processes: Postgres ends all
 * sessions and recovers from its write-ahead log. `term` stops the server, and `start` restarts it
 * on the same port and folder.
 * @param dataDir folder of its data
 */
export async function postgresMember(
	dataDir: string,
): Promise<{ member: Member; address: string; admin: string }> {
	const options: EmbeddedPostgresOptions = { dataDir, settings: SETTINGS };
	let server = await startEmbeddedPostgres(options);
	let stopped = false;
	const { host, port, user, password } = server;
	const address = `${host}:${port}`;
	const admin = `postgres://${user}:${password}@${address}/postgres`;
	const ready = async () => {
		const client = new pg.Client({ connectionString: admin });
		client.on("error", () => undefined);
		await client.connect();
		await client.query("select 1").finally(() => client.end());
	};
	const signal = (name: NodeJS.Signals) => {
		for (const child of childrenOf(server.pid)) {
			try {
				process.kill(child, name);
			} catch {
				// The child process has just exited.
			}
		}
	};
	const member: Member = {
		name: "postgres",
		kind: "postgres",
		get pid() {
			return server.pid;
		},
		pause: () => signal("SIGSTOP"),
		resume: () => signal("SIGCONT"),
		kill: async () => signal("SIGKILL"),
		async term() {
			stopped = true;
			await server.stop();
		},
		async start() {
			if (stopped) server = await startEmbeddedPostgres({ ...options, port });
			stopped = false;
			await until(ready);
		},
		end: () => server.stop(),
		log: () => "",
	};
	return { member, address, admin };
}

function childrenOf(parent: number): number[] {
	return readdirSync("/proc").flatMap((name) => {
		if (!/^\d+$/.test(name)) return [];
		try {
			const stat = readFileSync(`/proc/${name}/stat`, "utf8");
			return Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[1]) === parent
				? [Number(name)]
				: [];
		} catch {
			return [];
		}
	});
}

/** Repeats `check` until it resolves. @throws its last error after `seconds` */
export async function until(check: () => Promise<unknown>, seconds = 90): Promise<void> {
	for (const end = Date.now() + seconds * 1000; ; await after(50)) {
		try {
			await check();
			return;
		} catch (error) {
			if (Date.now() > end) throw error;
		}
	}
}
