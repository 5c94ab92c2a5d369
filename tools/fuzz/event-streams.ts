import { connect, type Socket } from "node:net";
import { setTimeout as pause } from "node:timers/promises";
import { eventually } from "../../test/support/eventually.ts";
import { randomNumbers } from "../../test/support/random.ts";
import type { Failure } from "./fuzz.ts";
import type { FuzzRequest } from "./requests.ts";

/** Limit of concurrent streams per user and gateway. */
const LIMIT = 10;

export interface StreamFuzzOptions {
	readonly urls: readonly string[];
	readonly seed: number;
	/** Rounds at each gateway. */
	readonly rounds: number;
	/** Creates a user without streams, with one open and one finished order. */
	setUp(): Promise<{ readonly token: string; readonly open: string; readonly finished: string }>;
}
/** A connection, with the statuses and text received so far. */
interface Connection {
	readonly socket: Socket;
	statuses(): number[];
	text(): string;
}

/**
 * Opens event streams in unusual ways: pipelined on one connection, many at once, and aborted at
 * any time. Checks that every gateway still sends heartbeats, enforces its limit, and frees the
 * places of closed streams.
 */
export async function fuzzStreams({
	urls,
	seed,
	rounds,
	setUp,
}: StreamFuzzOptions): Promise<Failure[]> {
	const { token, open, finished } = await setUp();
	const held = await setUp();
	const path = (id: string) => `/api/orders/${id}/events`;
	const request = (id: string, bearer = token, method = "GET") =>
		`${method} ${path(id)} HTTP/1.1\r\nHost: fuzz\r\nAuthorization: Bearer ${bearer}\r\n\r\n`;
	const sent: FuzzRequest = { method: "GET", path: path(open), headers: {}, body: undefined };
	const failures: Failure[] = [];
	const fail = (what: string, response: unknown = "") =>
		failures.push({ what, request: sent, seed, response: String(response) });

	/** Opens several streams on each of several connections, and closes all of them. */
	async function round(url: string, next: () => number): Promise<void> {
		const connections = Array.from({ length: 1 + Math.floor(next() * 8) }, () => {
			const ids = Array.from(
				{ length: 1 + Math.floor(next() * 6) },
				() => [open, finished, "nonsense"][Math.floor(next() * 3)]!,
			);
			return dial(url, ids.map((id) => request(id, token, next() < 0.1 ? "HEAD" : "GET")).join(""));
		});
		await pause(next() * 60);
		for (const { socket } of connections) next() < 0.5 ? socket.destroy() : socket.end();
		await pause(next() * 20);
		for (const { socket } of connections) socket.destroy();
		const wrong = connections.flatMap((one) => one.statuses()).filter((status) => status >= 500);
		if (wrong.length > 0) fail(`returned ${wrong[0]}`);
	}
	/** Checks the limit with parallel requests. It also fails if earlier rounds still hold places. */
	async function assertPlaces(url: string): Promise<void> {
		await eventually(async () => {
			const connections = Array.from({ length: 4 * LIMIT }, () => dial(url, request(open)));
			try {
				await eventually(() =>
					assert(
						connections.every((one) => one.statuses().length === 1),
						"a stream received no response",
					),
				);
				const count = connections.filter((one) => one.statuses()[0] === 200).length;
				assert(count === LIMIT, `${count} parallel streams of a user are open, not ${LIMIT}`);
			} finally {
				for (const { socket } of connections) socket.destroy();
			}
		});
	}
	async function fuzzGateway(url: string, index: number): Promise<void> {
		// The response to the second request cannot be sent before the first stream ends.
		const pipelined = dial(
			url,
			request(held.open, held.token) + request(held.finished, held.token),
		);
		const next = randomNumbers(seed + index);
		try {
			for (let i = 0; i < rounds; i++) await round(url, next);
			await assertPlaces(url);
			await eventually(() =>
				assert(/\n:\n\n/.test(pipelined.text()), "a gateway no longer sends heartbeats"),
			);
			const alive = await fetch(`${url}/health/live`);
			assert(alive.status === 200, "a gateway is not alive");
		} catch (error) {
			fail((error as Error).message, pipelined.text().slice(-500));
		} finally {
			pipelined.socket.destroy();
		}
	}
	await Promise.all(urls.map(fuzzGateway));
	return failures;
}

function dial(url: string, text: string): Connection {
	const { hostname, port } = new URL(url);
	const socket = connect(Number(port), hostname, () => socket.write(text));
	let received = "";
	socket.setEncoding("utf8");
	socket.on("data", (chunk) => (received += chunk));
	socket.on("error", () => undefined);
	return {
		socket,
		text: () => received,
		statuses: () =>
			Array.from(received.matchAll(/^HTTP\/1\.1 (\d{3}) /gm), ([, status]) => Number(status)),
	};
}
function assert(good: boolean, message: string): void {
	if (!good) throw new Error(message);
}
