import { connect, type Socket } from "node:net";

/** Response to an HTTP request. */
export interface HttpResponse {
	readonly status: number;
	readonly body: Buffer;
}

const HEAD_END = Buffer.from("\r\n\r\n");

/**
 * Minimal HTTP client: one keep-alive connection with one request in flight. A general HTTP client
 * would use more CPU than the server under test.
 */
export class Connection {
	readonly #address: { host: string; port: number };
	#socket!: Socket;
	#buffer: Buffer = Buffer.alloc(0);
	#waiting: { resolve(response: HttpResponse): void; reject(error: Error): void } | undefined;

	constructor(url: string) {
		const { hostname, port } = new URL(url);
		this.#address = { host: hostname, port: Number(port) };
		this.reopen();
	}

	/** Replaces the socket after a failure. */
	reopen(): void {
		this.#socket?.destroy();
		this.#buffer = Buffer.alloc(0);
		const socket = connect({ ...this.#address, noDelay: true });
		this.#socket = socket;
		const fail = (error: Error) => {
			if (socket === this.#socket) this.#fail(error);
		};
		socket.on("data", (chunk) => this.#read(chunk));
		socket.on("error", fail);
		socket.on("close", () => fail(new Error("The server closed the connection")));
	}

	/** Rejects the request in flight. */
	abandon(): void {
		this.#fail(new Error("No response in time"));
	}

	#fail(error: Error): void {
		const waiting = this.#waiting;
		this.#waiting = undefined;
		waiting?.reject(error);
	}

	/**
	 * Sends a request and returns its response.
	 *
	 * @param options.key value of the Idempotency-Key header
	 * @param options.cartToken value of the Cart-Token header
	 * @throws Error if the connection fails or the response is abandoned
	 */
	request(
		method: string,
		path: string,
		{
			token,
			body,
			key,
			cartToken,
		}: { token?: string | undefined; body?: unknown; key?: string; cartToken?: string } = {},
	): Promise<HttpResponse> {
		const text = body === undefined ? "" : JSON.stringify(body);
		const head =
			`${method} ${path} HTTP/1.1\r\nHost: ${this.#address.host}:${this.#address.port}\r\n` +
			(token ? `Authorization: Bearer ${token}\r\n` : "") +
			(key ? `Idempotency-Key: ${key}\r\n` : "") +
			(cartToken ? `Cart-Token: ${cartToken}\r\n` : "") +
			(text
				? `Content-Type: application/json\r\nContent-Length: ${Buffer.byteLength(text)}\r\n`
				: method === "POST"
					? "Content-Length: 0\r\n"
					: "");
		return new Promise((resolve, reject) => {
			this.#waiting = { resolve, reject };
			if (this.#socket.destroyed) this.#fail(new Error("The server closed the connection"));
			else this.#socket.write(`${head}\r\n${text}`);
		});
	}

	#read(chunk: Buffer): void {
		this.#buffer = this.#buffer.length > 0 ? Buffer.concat([this.#buffer, chunk]) : chunk;
		const end = this.#buffer.indexOf(HEAD_END);
		if (end < 0) return;
		const head = this.#buffer.toString("latin1", 0, end);
		const body = this.#buffer.subarray(end + 4);
		const length = /\r\ncontent-length: *(\d+)/i.exec(head);
		if (length) {
			if (body.length < Number(length[1])) return;
		} else if (/\r\ntransfer-encoding: *chunked/i.test(head)) {
			if (!body.toString("latin1", Math.max(0, body.length - 5)).endsWith("0\r\n\r\n")) return;
		}
		const waiting = this.#waiting;
		this.#waiting = undefined;
		this.#buffer = Buffer.alloc(0);
		const payload = length ? body.subarray(0, Number(length[1])) : unchunk(body);
		waiting?.resolve({ status: Number(head.slice(9, 12)), body: payload });
	}

	close(): void {
		this.#waiting = undefined;
		this.#socket.destroy();
	}
}

function unchunk(body: Buffer): Buffer {
	const parts: Buffer[] = [];
	for (let at = 0; at < body.length; ) {
		const line = body.indexOf("\r\n", at);
		const size = Number.parseInt(body.toString("latin1", at, line), 16);
		if (!size) break;
		parts.push(body.subarray(line + 2, line + 2 + size));
		at = line + 2 + size + 2;
	}
	return Buffer.concat(parts);
}
