import { Agent, request } from "node:http";
import type { DocumentedRoute } from "../../services/api/documentation/openapi.ts";
import type { Published } from "../../services/api/routing/published.ts";
import { randomNumbers } from "../../test/support/random.ts";
import { type FuzzRequest, type Known, makeRequest } from "./requests.ts";

/** Longer than any request may take. */
const TIMEOUT_MS = 15_000;
/** Requests that took longer are recorded, and repeated individually later. */
const SLOW_MS = 50;
const MAX_SLOW = 200;
/** Implementation details that no response may contain. No generated request contains them. */
const INTERNAL =
	/sequelize|postgres|relation "|syntax error|invalid input|duplicate key|violates|node_modules|\.ts:\d|TypeError|RangeError|ReferenceError|Cannot read|ECONN|\bat \w+ \(|moleculer|localhost:\d/i;

export interface FuzzOptions {
	/** Gateways, used in turn. */
	readonly urls: readonly string[];
	readonly routes: readonly (DocumentedRoute & { readonly contract: Published })[];
	/**
	 * Creates tokens and existing ids for a route; once per route, because some requests delete them.
	 */
	setUp(): Promise<{ readonly tokens: readonly (string | undefined)[]; readonly known: Known }>;
	readonly seed: number;
	readonly perRoute: number;
	/** Passes through all routes, each with a part of the requests. */
	readonly rounds?: number;
	/** Number of concurrent requests. */
	readonly lanes?: number;
	/** Waits for the end of an outage. Then a request that received 503 is sent once more. */
	recover?(): Promise<void>;
	onProgress?(done: number, of: number, failures: number): void;
	/** Called after each round. The first is 0. */
	onRound?(round: number): void;
}
export interface Failure {
	readonly what: string;
	readonly request: FuzzRequest;
	/** Seed that generates the same request. */
	readonly seed: number;
	readonly response: string;
}
export interface FuzzReport {
	readonly requests: number;
	/** Number of responses by status. */
	readonly statuses: Readonly<Record<number, number>>;
	readonly failures: readonly Failure[];
	/** Requests that may have blocked an event loop, to be repeated individually. */
	readonly slow: readonly FuzzRequest[];
}

/** Sends requests generated from the contracts, and reports invalid responses. */
export async function fuzz({
	urls,
	routes,
	setUp,
	seed,
	perRoute,
	rounds = 1,
	lanes = 8,
	recover,
	onProgress,
	onRound,
}: FuzzOptions): Promise<FuzzReport> {
	const agent = new Agent({ keepAlive: true, maxSockets: lanes });
	const statuses: Record<number, number> = {};
	const failures: Failure[] = [];
	const slow: FuzzRequest[] = [];
	let requests = 0;
	/** Sends the requests of one route in one round. */
	async function fuzzRoute(index: number, from: number, upto: number): Promise<void> {
		const { method, path, contract } = routes[index]!;
		const { tokens, known } = await setUp();
		let sent = from;
		const lane = async () => {
			while (sent < upto) {
				const own = seed + index * 1_000_003 + sent++;
				const next = randomNumbers(own);
				const made = makeRequest(method, path, contract, known, next);
				const token = tokens[Math.floor(next() * tokens.length)];
				const headers = token
					? { ...made.headers, authorization: `Bearer ${token}` }
					: made.headers;
				const startedAt = performance.now();
				const attempt = () => send(agent, urls[own % urls.length]!, { ...made, headers });
				let { status, text } = await attempt();
				if (recover && status === 503 && text.includes('"SERVICE_UNAVAILABLE"')) {
					await recover();
					({ status, text } = await attempt());
				}
				if (performance.now() - startedAt > SLOW_MS && slow.length < MAX_SLOW)
					slow.push({ ...made, headers });
				statuses[status] = (statuses[status] ?? 0) + 1;
				const what = findProblem(status, text);
				if (what) failures.push({ what, request: made, seed: own, response: text.slice(0, 500) });
				requests++;
				onProgress?.(requests, routes.length * perRoute, failures.length);
			}
		};
		await Promise.all(Array.from({ length: lanes }, lane));
	}
	for (let round = 0; round < rounds; round++) {
		const upto = (n: number) => Math.round((perRoute * n) / rounds);
		for (const index of routes.keys()) await fuzzRoute(index, upto(round), upto(round + 1));
		onRound?.(round);
	}
	agent.destroy();
	return { requests, statuses, failures, slow };
}

function findProblem(status: number, text: string): string | undefined {
	if (status === 0) return text;
	if (status >= 500) return `returned ${status}`;
	if (status < 400) return undefined;
	const word = INTERNAL.exec(text)?.[0];
	if (word) return `exposes an implementation detail: ${word}`;
	// node:http itself rejects invalid HTTP, with a status and no body.
	if (text === "") return undefined;
	try {
		return typeof JSON.parse(text).code === "string"
			? undefined
			: "returned a problem document without a code";
	} catch {
		return "returned a problem document that is not JSON";
	}
}

/**
 * Sends a request. Status 0 means no response. An event stream counts as complete once it begins.
 */
export function send(
	agent: Agent,
	url: string,
	{ method, path, headers, body }: FuzzRequest,
): Promise<{ status: number; text: string }> {
	return new Promise((resolve) => {
		const outgoing = request(
			url + path,
			{ method, headers, agent, timeout: TIMEOUT_MS },
			(incoming) => {
				const status = incoming.statusCode ?? 0;
				if (incoming.headers["content-type"] === "text/event-stream") {
					outgoing.destroy();
					return resolve({ status, text: "" });
				}
				let text = "";
				incoming.setEncoding("utf8");
				incoming.on("data", (chunk) => (text += chunk));
				incoming.on("end", () => resolve({ status, text: method === "HEAD" ? "" : text }));
				incoming.on("error", () => resolve({ status: 0, text: "connection closed" }));
			},
		);
		outgoing.on("timeout", () => outgoing.destroy(new Error("timed out")));
		outgoing.on("error", (error: NodeJS.ErrnoException) =>
			resolve({
				status: 0,
				text: error.code === "ECONNRESET" ? "connection closed" : error.message,
			}),
		);
		outgoing.end(body);
	});
}
