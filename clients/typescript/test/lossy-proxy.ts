import { createServer } from "node:http";
import type { AddressInfo } from "node:net";

export interface LossyProxy {
	readonly url: string;
	stop(): Promise<void>;
}

/**
 * Starts a proxy that forwards every request. It loses the first response to each Idempotency-Key:
 * it closes the connection to the client after the shop has responded.
 */
export async function startLossyProxy(target: string): Promise<LossyProxy> {
	const keys = new Set<unknown>();
	const server = createServer(async (req, res) => {
		const chunks: Buffer[] = [];
		for await (const chunk of req) chunks.push(chunk as Buffer);
		const { host: _, connection: __, "content-length": ___, ...headers } = req.headers;
		const response = await fetch(target + req.url, {
			method: req.method!,
			headers: headers as Record<string, string>,
			...(chunks.length > 0 ? { body: Buffer.concat(chunks) } : {}),
		});
		const body = await response.text();
		const key = headers["idempotency-key"];
		if (key !== undefined && !keys.has(key)) {
			keys.add(key);
			res.destroy();
			return;
		}
		const type = response.headers.get("content-type");
		res.writeHead(response.status, type ? { "content-type": type } : {}).end(body);
	});
	await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
	return {
		url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
		stop: () =>
			new Promise((resolve) => {
				server.close(() => resolve());
				server.closeAllConnections();
			}),
	};
}
