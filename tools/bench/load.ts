import { setTimeout as after } from "node:timers/promises";
import { Connection, type HttpResponse } from "./client.ts";
import { percentile } from "./figures.ts";
import type { Timed } from "./stalls.ts";

/** Sends one operation over a connection; `n` is its sequence number. */
export type Operation = (connection: Connection, n: number) => Promise<HttpResponse>;

interface LoadOptions {
	readonly url: string;
	readonly operation: Operation;
	/** Connections, each with at most one request in flight. */
	readonly buyers: number;
	readonly seconds: number;
	/**
	 * Open loop: scheduled operations per second, independent of responses. Without it (closed loop)
	 * each buyer sends the next request after the previous response.
	 */
	readonly rate?: number | undefined;
	/** Sequence number of the first operation. */
	readonly firstNumber?: number;
	/** Receives each response, or undefined for a request without a response. */
	readonly onResponse?: (response: HttpResponse | undefined) => void;
}
export interface LoadResult {
	readonly operations: number;
	/** From the first request to the last response. */
	readonly seconds: number;
	/** Number of operations by response status or error message. */
	readonly statuses: Readonly<Record<string, number>>;
	/**
	 * Latency in milliseconds. In an open loop it counts from the scheduled time, so that it includes
	 * the queue of a stalled server (no coordinated omission).
	 */
	readonly p50: number;
	readonly p95: number;
	readonly p99: number;
	readonly max: number;
	/** In the order of their ends. */
	readonly requests: readonly Timed[];
}

/** Time limit for responses after the last scheduled request. */
const RESPONSE_TIMEOUT_MS = 30_000;

/** Generates load and measures the responses. Every operation counts, however late its response. */
export async function generateLoad({
	url,
	operation,
	buyers,
	seconds,
	rate,
	firstNumber = 0,
	onResponse,
}: LoadOptions): Promise<LoadResult> {
	const connections = Array.from({ length: buyers }, () => new Connection(url));
	const times: number[] = [];
	const ends: number[] = [];
	const statuses: Record<string, number> = {};
	const count = (status: string, due: number) => {
		const now = performance.now();
		times.push(now - due);
		ends.push(performance.timeOrigin + now);
		statuses[status] = (statuses[status] ?? 0) + 1;
	};
	const send = async (connection: Connection, n: number, due: number) => {
		const response = await operation(connection, firstNumber + n).catch((error: Error) => error);
		count(response instanceof Error ? response.message : String(response.status), due);
		onResponse?.(response instanceof Error ? undefined : response);
		if (response instanceof Error) connection.reopen();
	};

	const started = performance.now();
	const end = started + seconds * 1000;
	let next = 0;
	async function closedLoop(connection: Connection): Promise<void> {
		for (let now = started; now < end; now = performance.now()) await send(connection, next++, now);
	}
	/** A free connection takes the next scheduled operation: a slow response delays no other. */
	async function openLoop(connection: Connection): Promise<void> {
		for (;;) {
			const n = next++;
			const due = started + (n * 1000) / rate!;
			if (due >= end) return;
			const wait = due - performance.now();
			if (wait > 0) await after(wait);
			else if (-wait > RESPONSE_TIMEOUT_MS) {
				count("not sent in time", due);
				continue;
			}
			// A timer may fire slightly early.
			await send(connection, n, Math.min(due, performance.now()));
		}
	}

	const deadline = setInterval(() => {
		if (performance.now() > end + RESPONSE_TIMEOUT_MS)
			for (const connection of connections) connection.abandon();
	}, 1000);
	await Promise.all(connections.map(rate ? openLoop : closedLoop));
	clearInterval(deadline);
	const elapsed = (performance.now() - started) / 1000;
	for (const connection of connections) connection.close();
	const sorted = Float64Array.from(times).sort();
	const [p50, p95, p99, max] = [0.5, 0.95, 0.99, 1].map((share) => percentile(sorted, share)) as [
		number,
		number,
		number,
		number,
	];
	const requests = ends.map((end, i) => ({ start: end - times[i]!, end }));
	return { operations: times.length, seconds: elapsed, statuses, p50, p95, p99, max, requests };
}

/** Repeats an operation without measuring it. `stop` returns the number of completed operations. */
export function startBackgroundLoad(
	url: string,
	operation: Operation,
	clients: number,
): { stop(): Promise<number> } {
	const connections = Array.from({ length: clients }, () => new Connection(url));
	let [n, done, running] = [0, 0, true];
	const clientLoops = connections.map(async (connection) => {
		while (running) {
			const response = await operation(connection, n++).catch(() => undefined);
			if (response) done++;
			else connection.reopen();
		}
		connection.close();
	});
	return {
		async stop() {
			running = false;
			await Promise.all(clientLoops);
			return done;
		},
	};
}
