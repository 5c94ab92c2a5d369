import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

/** Request that a server has received. */
export interface Received {
	readonly method: string;
	readonly path: string;
	readonly headers: IncomingMessage["headers"];
	readonly body: string;
}
type Respond = (
	request: Received,
	response: ServerResponse,
	/** Number of requests before this one. */
	earlier: number,
) => unknown;
export interface TestServer {
	readonly url: string;
	readonly requests: readonly Received[];
	stop(): Promise<void>;
}

/** Starts an HTTP server that responds in a given way. */
export async function startServer(respond: Respond): Promise<TestServer> {
	const requests: Received[] = [];
	const server = createServer(async (req, res) => {
		const chunks: Buffer[] = [];
		for await (const chunk of req) chunks.push(chunk as Buffer);
		const { method = "", url: path = "", headers } = req;
		const received = { method, path, headers, body: Buffer.concat(chunks).toString() };
		requests.push(received);
		respond(received, res, requests.length - 1);
	});
	await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
	return {
		url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
		requests,
		stop: () =>
			new Promise((resolve) => {
				server.close(() => resolve());
				server.closeAllConnections();
			}),
	};
}

export function sendJson(
	response: ServerResponse,
	status: number,
	body: unknown,
	headers: Record<string, string> = {},
): void {
	const type = status < 400 ? "application/json" : "application/problem+json";
	response.writeHead(status, { "content-type": type, ...headers });
	response.end(JSON.stringify(body));
}

/** Sends a problem document. */
export function sendProblem(
	response: ServerResponse,
	status: number,
	code: string,
	{ headers, ...members }: { headers?: Record<string, string>; [name: string]: unknown } = {},
): void {
	sendJson(response, status, { status, code, detail: code, request_id: "r1", ...members }, headers);
}
