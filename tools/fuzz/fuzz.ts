import { Agent, request } from "node:http";
import type { DocumentedRoute } from "../../services/api/documentation/openapi.ts";
import type { Published } from "../../services/api/routing/routes.ts";
import { type FuzzRequest, type Known, makeRequest, random } from "./requests.ts";

/** Longer than any request may take: what does not answer by then hangs. */
const PATIENCE = 15_000;
/** Milliseconds after which a request is kept to be sent again. */
const SLOW_MS = 50;
const MOST_SLOW = 200;
/** What only the inside knows. None of it is in what is sent. */
const INTERNAL =
	/sequelize|postgres|relation "|syntax error|invalid input|duplicate key|violates|node_modules|\.ts:\d|TypeError|RangeError|ReferenceError|Cannot read|ECONN|\bat \w+ \(|moleculer|localhost:\d/i;

export interface FuzzOptions {
	/** The gateways, which are asked in turn. */
	readonly urls: readonly string[];
	readonly routes: readonly (DocumentedRoute & { readonly contract: Published })[];
	/** For each route anew, because some requests end what others need: tokens to try, and ids that are there. */
	setUp(): Promise<{ readonly tokens: readonly (string | undefined)[]; readonly known: Known }>;
	readonly seed: number;
	readonly perRoute: number;
	/** How often all routes are gone through, each time with a part of the requests. */
	readonly rounds?: number;
	/** How many requests are under way at once. */
	readonly lanes?: number;
	onProgress?(done: number, of: number, failures: number): void;
	/** After each round; the first is 0. */
	onRound?(round: number): void;
}
export interface Failure {
	readonly what: string;
	readonly request: FuzzRequest;
	/** Makes the same request again. */
	readonly seed: number;
	readonly answer: string;
}
export interface FuzzReport {
	readonly requests: number;
	/** How often each status came. */
	readonly statuses: Readonly<Record<number, number>>;
	readonly failures: readonly Failure[];
	/** Some of the requests that took long enough to have blocked an event loop: to be sent again, alone. */
	readonly slow: readonly FuzzRequest[];
}

/** Sends requests made from the contracts, and looks for answers that nobody should ever get. */
export async function fuzz({
	urls,
	routes,
	setUp,
	seed,
	perRoute,
	rounds = 1,
	lanes = 8,
	onProgress,
	onRound,
}: FuzzOptions): Promise<FuzzReport> {
	const agent = new Agent({ keepAlive: true, maxSockets: lanes });
	const statuses: Record<number, number> = {};
	const failures: Failure[] = [];
	const slow: FuzzRequest[] = [];
	let requests = 0;
	/** One route's share of a round. */
	async function fuzzRoute(index: number, from: number, upto: number): Promise<void> {
		const { method, path, contract } = routes[index]!;
		const { tokens, known } = await setUp();
		let sent = from;
		const lane = async () => {
			while (sent < upto) {
				const own = seed + index * 1_000_003 + sent++;
				const next = random(own);
				const made = makeRequest(method, path, contract, known, next);
				const token = tokens[Math.floor(next() * tokens.length)];
				const headers = token
					? { ...made.headers, authorization: `Bearer ${token}` }
					: made.headers;
				const began = performance.now();
				const { status, text } = await send(agent, urls[own % urls.length]!, { ...made, headers });
				if (performance.now() - began > SLOW_MS && slow.length < MOST_SLOW)
					slow.push({ ...made, headers });
				statuses[status] = (statuses[status] ?? 0) + 1;
				const what = wrong(status, text);
				if (what) failures.push({ what, request: made, seed: own, answer: text.slice(0, 500) });
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

function wrong(status: number, text: string): string | undefined {
	if (status === 0) return text;
	if (status >= 500) return `answered ${status}`;
	if (status < 400) return undefined;
	const word = INTERNAL.exec(text)?.[0];
	if (word) return `tells of the inside: ${word}`;
	// What is not even HTTP is refused by node:http itself, with nothing but a status.
	if (text === "") return undefined;
	try {
		return typeof JSON.parse(text).code === "string" ? undefined : "is a problem without a code";
	} catch {
		return "is a problem that is no JSON";
	}
}

/** Status 0 is no answer; a stream counts as answered when it has begun. */
export function send(
	agent: Agent,
	url: string,
	{ method, path, headers, body }: FuzzRequest,
): Promise<{ status: number; text: string }> {
	return new Promise((resolve) => {
		const outgoing = request(
			url + path,
			{ method, headers, agent, timeout: PATIENCE },
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
				incoming.on("error", () => resolve({ status: 0, text: "broke off" }));
			},
		);
		outgoing.on("timeout", () => outgoing.destroy(new Error("hangs")));
		outgoing.on("error", (error: NodeJS.ErrnoException) =>
			resolve({ status: 0, text: error.code === "ECONNRESET" ? "broke off" : error.message }),
		);
		outgoing.end(body);
	});
}
