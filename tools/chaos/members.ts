import { readdirSync, readFileSync } from "node:fs";
import { setTimeout as after } from "node:timers/promises";
import pg from "pg";
import {
	type EmbeddedPostgresOptions,
	startEmbeddedPostgres,
} from "../../lib/persistence/embedded-postgres/embedded-postgres.ts";
import { type Command, type Process, startProcess } from "../../test/support/processes.ts";

/** Something in the cluster that can be disturbed: a node, or a server that all nodes need. */
export interface Member {
	readonly name: string;
	readonly kind: "node" | "nats" | "redis" | "postgres";
	/** Of the process that runs now. */
	readonly pid: number | undefined;
	pause(): void;
	resume(): void;
	/** Ends it without a word. */
	kill(): Promise<void>;
	/** Has it end by itself. */
	term(): Promise<void>;
	/** Runs it again, until it answers. */
	start(): Promise<void>;
	/** Ends it for good. */
	end(): Promise<void>;
	log(): string;
}
const START_MS = 60_000;

/** A process that is started again under the same command. `ready` rejects until it answers. */
export function member(
	kind: Member["kind"],
	command: Command,
	ready: () => Promise<unknown>,
): Member {
	let process: Process | undefined;
	let over = false;
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
			// One that cannot end, because what it needs is away, is ended.
			const slow = after(10_000, "slow" as const, { ref: false });
			if (process && (await Promise.race([process.term(), slow])) === "slow") await process.kill();
		},
		/** One that ends while it starts, because what it needs is away, is started again, as whatever supervises it would. */
		async start() {
			for (const end = Date.now() + START_MS; !over; ) {
				const mine = startProcess(command);
				process = mine;
				try {
					return await Promise.race([mine.failure, until(ready)]);
				} catch (error) {
					await mine.kill();
					if (Date.now() > end) throw error;
					await after(300);
				}
			}
		},
		async end() {
			over = true;
			await process?.kill();
		},
		log: () => process?.log() ?? "",
	};
}

/**
 * Postgres, which the program that runs the chaos has started. It crashes when one of its processes is killed, which takes all sessions with
 * it, and recovers from its log; or it is ended in order, sessions and all, and started again on the same port and folder.
 */
export async function postgresMember(
	options: EmbeddedPostgresOptions,
): Promise<{ member: Member; address: string; admin: string }> {
	let server = await startEmbeddedPostgres(options);
	let away = false;
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
				// It has just ended by itself.
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
			away = true;
			await server.stop();
		},
		async start() {
			if (away) server = await startEmbeddedPostgres({ ...options, port });
			away = false;
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

/** Tries until `check` fulfils. */
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
