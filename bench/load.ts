import { setTimeout as after } from "node:timers/promises";
import { Connection, type Reply } from "./client.ts";

/** Sends one operation over a connection; `n` counts them. */
export type Operation = (connection: Connection, n: number) => Promise<Reply>;

export interface LoadOptions {
	readonly url: string;
	readonly operation: Operation;
	readonly concurrency: number;
	readonly seconds: number;
	readonly warmup: number;
	/** Operations per second, sent on schedule whatever the answers do; without it each connection sends as soon as it was answered. */
	readonly rate?: number;
	/** Called as measuring begins and as it ends. */
	onStart?(): void;
	onEnd?(): void;
}
export interface LoadResult {
	readonly operations: number;
	readonly seconds: number;
	readonly statuses: Record<string, number>;
	/** Milliseconds. In an open loop counted from when the request was due, so that a stalled server cannot hide its queue. */
	readonly p50: number;
	readonly p95: number;
	readonly p99: number;
	readonly max: number;
}

/** Puts load on a server and measures what it answers, after a warm-up. */
export async function load(options: LoadOptions): Promise<LoadResult> {
	const { url, operation, concurrency, seconds, warmup, rate } = options;
	const connections = Array.from({ length: concurrency }, () => new Connection(url));
	const times: number[] = [];
	const statuses: Record<string, number> = {};
	let measuring = false;
	let running = true;
	let n = 0;

	const send = async (connection: Connection, due: number) => {
		const status = await operation(connection, n++).then(
			(reply) => String(reply.status),
			(error: Error) => error.message,
		);
		if (!measuring) return;
		times.push(performance.now() - due);
		statuses[status] = (statuses[status] ?? 0) + 1;
	};
	const closed = async (connection: Connection) => {
		while (running) await send(connection, performance.now());
	};
	const started = performance.now();
	const open = async (connection: Connection, i: number) => {
		const every = (1000 * concurrency) / rate!;
		for (let due = started + (i * 1000) / rate!; running; due += every) {
			const wait = due - performance.now();
			if (wait > 0) await after(wait);
			await send(connection, due);
		}
	};
	const all = connections.map(rate ? open : closed);
	await after(warmup * 1000);
	options.onStart?.();
	measuring = true;
	const from = performance.now();
	await after(seconds * 1000);
	measuring = false;
	const elapsed = (performance.now() - from) / 1000;
	options.onEnd?.();
	running = false;
	await Promise.all(all);
	for (const connection of connections) connection.close();
	times.sort((a, b) => a - b);
	const at = (share: number) => times[Math.min(times.length - 1, Math.floor(times.length * share))] ?? 0;
	return { operations: times.length, seconds: elapsed, statuses, p50: at(0.5), p95: at(0.95), p99: at(0.99), max: at(1) };
}
