import {
	createServer,
	type IncomingMessage,
	type Server,
	type ServerResponse,
	STATUS_CODES,
} from "node:http";
import type { Socket } from "node:net";
import { StartError } from "../../../lib/process/start-error.ts";

const REASONS: Record<string, string> = {
	EADDRINUSE: "is already in use: set PORT to another port, or stop the program that uses it",
	EACCES: "is not permitted for this user: set PORT to a port above 1023",
	EADDRNOTAVAIL: "is not an address of this machine: set HOST to a local address",
	ENOTFOUND: "is not an address of this machine: set HOST to a local address",
};

/**
 * Time limits for receiving a request, in milliseconds. node:http rejects slower clients with 408.
 */
const TIMEOUTS = {
	headersTimeout: 10_000,
	requestTimeout: 30_000,
	connectionsCheckingInterval: 5000,
};

/** The HTTP server. Counts requests in flight, and completes them before it closes. */
export class HttpServer {
	readonly server: Server;
	/** Connections whose current request may take longer than `requestTimeout`. */
	readonly #withoutTimeLimit = new WeakSet<object>();
	#inFlight = 0;
	#closing: Promise<void> | undefined;

	/**
	 * @param ended is called when a request ends, with or without a response
	 * @param failed receives the errors of responses, such as a write after the end
	 */
	constructor(
		handle: (req: IncomingMessage, res: ServerResponse) => void,
		ended: (req: IncomingMessage, res: ServerResponse) => void = () => undefined,
		failed: (req: IncomingMessage, error: Error) => void = () => undefined,
		timeouts: Readonly<typeof TIMEOUTS> = TIMEOUTS,
	) {
		const listener = this;
		function finished(this: ServerResponse): void {
			listener.#inFlight--;
			if (listener.closing && listener.#inFlight === 0) listener.server.closeAllConnections();
			ended(this.req, this);
		}
		function responseFailed(this: ServerResponse, error: Error): void {
			failed(this.req, error);
		}
		this.server = createServer(
			{
				...timeouts,
				// Longer than the minute for which proxies and load balancers keep idle connections, so
				// that they never send a request into a closing connection.
				keepAliveTimeout: 65_000,
			},
			(req, res) => {
				this.#inFlight++;
				res.once("close", finished);
				// Permanent: an error event without a listener ends the process.
				res.on("error", responseFailed);
				handle(req, res);
			},
		);
		this.server.on("clientError", (error: NodeJS.ErrnoException, socket) => {
			const late = error.code === "ERR_HTTP_REQUEST_TIMEOUT";
			if (!late || !this.#withoutTimeLimit.has(socket)) reject(error, socket as Socket);
		});
	}

	/**
	 * Exempts the request that a connection is receiving from the time limit; the caller limits it.
	 * @returns a function that ends the exemption
	 */
	withoutTimeLimit(socket: object): () => void {
		this.#withoutTimeLimit.add(socket);
		return () => void this.#withoutTimeLimit.delete(socket);
	}

	get inFlight(): number {
		return this.#inFlight;
	}

	/** True while closing: no new connections are accepted, and each response ends its connection. */
	get closing(): boolean {
		return this.#closing !== undefined;
	}

	/** Starts listening. @throws StartError if the address is not available */
	async open(host: string, port: number): Promise<void> {
		// The node was stopped before it had started.
		if (this.closing) return;
		await new Promise<void>((resolve, reject) => {
			const refuse = ({ code = "", message }: NodeJS.ErrnoException) =>
				reject(
					new StartError(
						`Port ${port} of ${host} ${REASONS[code] ?? `is not available: ${message}`}`,
					),
				);
			this.server.once("error", refuse);
			this.server.listen(port, host, () => {
				this.server.off("error", refuse);
				resolve();
			});
		});
	}

	/** Waits up to `ms` milliseconds for requests in flight, and closes idle connections. */
	close(ms: number): Promise<void> {
		this.#closing ??= new Promise((resolve) => {
			const timer = setTimeout(() => this.server.closeAllConnections(), ms);
			this.server.close(() => {
				clearTimeout(timer);
				resolve();
			});
			if (this.#inFlight === 0) this.server.closeAllConnections();
		});
		return this.#closing;
	}
}

const STATUSES: Readonly<Record<string, number>> = {
	HPE_HEADER_OVERFLOW: 431,
	HPE_CHUNK_EXTENSIONS_OVERFLOW: 413,
	ERR_HTTP_REQUEST_TIMEOUT: 408,
};
/** Rejects a malformed or late request as node:http does if there is no listener for the error. */
function reject({ code = "" }: NodeJS.ErrnoException, socket: Socket): void {
	const { _httpMessage: response } = socket as { _httpMessage?: ServerResponse };
	if (socket.writable && !response?.headersSent) {
		const status = STATUSES[code] ?? 400;
		socket.write(`HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\nConnection: close\r\n\r\n`);
	}
	socket.destroy();
}
