import type { Agent } from "node:http";
import { setTimeout as delay } from "node:timers/promises";
import { send } from "./fuzz.ts";
import type { FuzzRequest } from "./requests.ts";

/** Milliseconds for which one request may block the event loop of any node. */
export const MOST_MS = 50;
/** A machine that is busy with other things stalls a process now and then; a request that blocks its event loop does so every time. */
const ATTEMPTS = 5;
/** Milliseconds that no other process takes from this one: no further attempt is needed. */
const CERTAIN_MS = 1000;
/** More of them say nothing new, and each may take minutes. */
const MOST_STALLS = 5;
/** Milliseconds between two heartbeats. */
const PAUSE_MS = 2;
const HEARTBEAT: FuzzRequest = {
	method: "GET",
	path: "/health/live",
	headers: {},
	body: undefined,
};

/** A request that blocked an event loop in each attempt, and for how many milliseconds at least. */
export interface Stall {
	readonly request: FuzzRequest;
	readonly ms: number;
}

/**
 * Sends requests one at a time, and finds those that block the event loop of a node: heartbeats to all nodes wait meanwhile.
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
		for (let attempt = 0; attempt < ATTEMPTS && ms > MOST_MS; attempt++) {
			ms = Math.min(ms, await slowestHeartbeat(agent, url, request, nodes));
			if (ms > CERTAIN_MS) break;
		}
		if (ms > MOST_MS) stalls.push({ request, ms });
		if (stalls.length === MOST_STALLS) break;
	}
	return { sent, stalls };
}

/** The longest wait for a heartbeat while a request is in flight, and right after it: it is logged when its response is sent. */
async function slowestHeartbeat(
	agent: Agent,
	url: string,
	request: FuzzRequest,
	nodes: readonly string[],
): Promise<number> {
	let slowest = 0;
	let inFlight = true;
	async function beat(node: string): Promise<void> {
		const began = performance.now();
		await send(agent, node, HEARTBEAT);
		slowest = Math.max(slowest, performance.now() - began);
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
