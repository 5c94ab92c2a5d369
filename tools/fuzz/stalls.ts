import type { Agent } from "node:http";
import { setTimeout as delay } from "node:timers/promises";
import { send } from "./fuzz.ts";
import type { FuzzRequest } from "./requests.ts";

/** Milliseconds for which one request may block the event loop of any node. */
export const MAX_BLOCK_MS = 50;
/** A busy machine stalls a process occasionally; a blocking request does so in every attempt. */
const ATTEMPTS = 20;
/**
 * A stall that a busy machine rarely causes, in milliseconds. Two attempts with such a stall in
 * each need no further one, because each may take minutes.
 */
const LONG_MS = 5000;
/** The search stops after this number of stalls, because each may take minutes. */
const MAX_STALLS = 5;
/** Milliseconds between two heartbeats. */
const PAUSE_MS = 2;
const HEARTBEAT: FuzzRequest = {
	method: "GET",
	path: "/health/live",
	headers: {},
	body: undefined,
};

/** A request that blocked an event loop in each attempt, and for how many milliseconds at least. */
interface Stall {
	readonly request: FuzzRequest;
	readonly ms: number;
}

/**
 * Sends requests one at a time, and reports those that block the event loop of a node, by the
 * latency of concurrent heartbeats to all nodes.
 * @param nodes addresses that respond to GET /health/live from the event loop that is watched
 */
export async function findStalls(
	agent: Agent,
	url: string,
	requests: Iterable<FuzzRequest>,
	nodes: readonly string[],
): Promise<{ sent: number; stalls: Stall[] }> {
	const stalls: Stall[] = [];
	let sent = 0;
	for (const request of requests) {
		sent++;
		let ms = Number.POSITIVE_INFINITY;
		for (let attempt = 0; attempt < ATTEMPTS && ms > MAX_BLOCK_MS; attempt++) {
			ms = Math.min(ms, await slowestHeartbeat(agent, url, request, nodes));
			// The shortest stall of at least two attempts.
			if (attempt > 0 && ms > LONG_MS) break;
		}
		if (ms > MAX_BLOCK_MS) stalls.push({ request, ms });
		if (stalls.length === MAX_STALLS) break;
	}
	return { sent, stalls };
}

/**
 * The longest heartbeat latency during a request, and directly after it: the access log is written
 * after the response.
 */
async function slowestHeartbeat(
	agent: Agent,
	url: string,
	request: FuzzRequest,
	nodes: readonly string[],
): Promise<number> {
	let slowest = 0;
	let inFlight = true;
	async function beat(node: string): Promise<void> {
		const startedAt = performance.now();
		await send(agent, node, HEARTBEAT);
		slowest = Math.max(slowest, performance.now() - startedAt);
	}
	const watch = async (node: string) => {
		for (; inFlight; await delay(PAUSE_MS)) await beat(node);
	};
	const watching = nodes.map(watch);
	await send(agent, url, request);
	inFlight = false;
	await Promise.all(watching);
	await Promise.all(nodes.map(beat));
	return slowest;
}
