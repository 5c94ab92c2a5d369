import { setTimeout as after } from "node:timers/promises";
import { Connection, type Reply } from "./client.ts";
import { percentile } from "./figures.ts";

/** Sends one operation over a connection; `n` counts them. */
export type Operation = (connection: Connection, n: number) => Promise<Reply>;

export interface LoadOptions {
	readonly url: string;
	readonly operation: Operation;
	/** Connections, each with one request under way at most. */
	readonly buyers: number;
	readonly seconds: number;
	/** Operations per second, due on schedule whatever the answers do; without it each buyer sends as soon as it was answered. */
	readonly rate?: number | undefined;
	/** The number of the first operation. */
	readonly first?: number;
	/** Gets every reply, and undefined for a request that stayed without one. */
	readonly note?: (reply: Reply | undefined) => void;
}
export interface LoadResult {
	readonly operations: number;
	/** From the first request to the last answer. */
	readonly seconds: number;
	/** How many were answered with which status, or failed with which message. */
	readonly statuses: Readonly<Record<string, number>>;
	/** Milliseconds. In an open loop counted from when the request was due, so that a stalled server cannot hide its queue. */
	readonly p50: number;
	readonly p95: number;
	readonly p99: number;
	readonly max: number;
}

/** How long answers are waited for when all has been sent. */
const PATIENCE_MS = 30_000;

/** Puts load on a server and measures what it answers. Every operation that was sent, or was due, counts, however late its answer is. */
export async function load({ url, operation, buyers, seconds, rate, first = 0, note }: LoadOptions): Promise<LoadResult> {
	const connections = Array.from({ length: buyers }, () => new Connection(url));
	const times: number[] = [];
	const statuses: Record<string, number> = {};
	const count = (status: string, due: number) => {
		times.push(performance.now() - due);
		statuses[status] = (statuses[status] ?? 0) + 1;
	};
	const send = async (connection: Connection, n: number, due: number) => {
		const reply = await operation(connection, first + n).catch((error: Error) => error);
		count(reply instanceof Error ? reply.message : String(reply.status), due);
		note?.(reply instanceof Error ? undefined : reply);
		if (reply instanceof Error) connection.reopen();
	};

	const started = performance.now();
	const end = started + seconds * 1000;
	let next = 0;
	async function closed(connection: Connection): Promise<void> {
		for (let now = started; now < end; now = performance.now()) await send(connection, next++, now);
	}
	/** Whichever connection is free takes the operation that is due next: nobody waits for a slow answer to somebody else while another is free. */
	async function open(connection: Connection): Promise<void> {
		for (;;) {
			const n = next++;
			const due = started + (n * 1000) / rate!;
			if (due >= end) return;
			const wait = due - performance.now();
			if (wait > 0) await after(wait);
			else if (-wait > PATIENCE_MS) {
				count("not sent in time", due);
				continue;
			}
			// A timer may fire a moment early.
			await send(connection, n, Math.min(due, performance.now()));
		}
	}

	const late = setInterval(() => {
		if (performance.now() > end + PATIENCE_MS) for (const connection of connections) connection.abandon();
	}, 1000);
	await Promise.all(connections.map(rate ? open : closed));
	clearInterval(late);
	const elapsed = (performance.now() - started) / 1000;
	for (const connection of connections) connection.close();
	const sorted = Float64Array.from(times).sort();
	const [p50, p95, p99, max] = [0.5, 0.95, 0.99, 1].map((share) => percentile(sorted, share)) as [number, number, number, number];
	return { operations: times.length, seconds: elapsed, statuses, p50, p95, p99, max };
}

/** The same operation over and over, unmeasured, until it is stopped; answers how many there were. */
export function keepBusy(url: string, operation: Operation, clients: number): { stop(): Promise<number> } {
	const connections = Array.from({ length: clients }, () => new Connection(url));
	let [n, done, running] = [0, 0, true];
	const all = connections.map(async (connection) => {
		while (running) {
			const reply = await operation(connection, n++).catch(() => undefined);
			if (reply) done++;
			else connection.reopen();
		}
		connection.close();
	});
	return {
		async stop() {
			running = false;
			await Promise.all(all);
			return done;
		},
	};
}
