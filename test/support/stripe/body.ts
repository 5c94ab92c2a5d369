import type { IncomingMessage } from "node:http";

/** Far above the requests of a shop. */
const MAX_BYTES = 1_000_000;

/** Text of a request's body. @throws Error if it is too large or the client disconnects */
export async function readBody(request: IncomingMessage): Promise<string> {
	const chunks: Buffer[] = [];
	let bytes = 0;
	for await (const chunk of request as AsyncIterable<Buffer>) {
		bytes += chunk.length;
		if (bytes > MAX_BYTES) throw new Error(`The body exceeds ${MAX_BYTES} bytes`);
		chunks.push(chunk);
	}
	return Buffer.concat(chunks).toString("utf8");
}
