import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { StartError } from "../../../lib/process/start-error.ts";

const REASONS: Record<string, string> = {
	EADDRINUSE: "is in use already: set PORT to another one, or stop what uses it",
	EACCES: "may not be used by this user: set PORT to one above 1023",
	EADDRNOTAVAIL: "is no address of this machine: set HOST to one that is",
	ENOTFOUND: "is no address of this machine: set HOST to one that is",
};

/** Milliseconds. Whoever sends slower than this is cut off (408, by node:http), so that nobody holds connections for nothing. */
const PATIENCE = {
	headersTimeout: 10_000,
	requestTimeout: 30_000,
	connectionsCheckingInterval: 5000,
};

/** The HTTP server: it knows which requests are under way, and closes without cutting them off. */
export class HttpServer {
	readonly server: Server;
	#underWay = 0;
	#closing: Promise<void> | undefined;

	/**
	 * @param ended is told of each request as it ends, answered or not
	 * @param failed receives the errors of responses, such as a write after the end
	 */
	constructor(
		handle: (req: IncomingMessage, res: ServerResponse) => void,
		ended: (req: IncomingMessage, res: ServerResponse) => void = () => undefined,
		failed: (req: IncomingMessage, error: Error) => void = () => undefined,
		patience: Readonly<typeof PATIENCE> = PATIENCE,
	) {
		const listener = this;
		function finished(this: ServerResponse): void {
			listener.#underWay--;
			if (listener.closing && listener.#underWay === 0) listener.server.closeAllConnections();
			ended(this.req, this);
		}
		function responseFailed(this: ServerResponse, error: Error): void {
			failed(this.req, error);
		}
		this.server = createServer(
			{
				...patience,
				// Longer than the minute for which proxies and load balancers keep a connection, so that they never send into a closing one.
				keepAliveTimeout: 65_000,
			},
			(req, res) => {
				this.#underWay++;
				res.once("close", finished);
				// Permanent: an error event without a listener ends the process.
				res.on("error", responseFailed);
				handle(req, res);
			},
		);
	}

	get inFlight(): number {
		return this.#underWay;
	}

	/** No new connections are taken, and each answer ends its own. */
	get closing(): boolean {
		return this.#closing !== undefined;
	}

	/** @throws StartError if the address cannot be listened on */
	async open(host: string, port: number): Promise<void> {
		// The node was told to stop before it had started.
		if (this.closing) return;
		await new Promise<void>((resolve, reject) => {
			const refuse = ({ code = "", message }: NodeJS.ErrnoException) =>
				reject(
					new StartError(
						`Port ${port} of ${host} ${REASONS[code] ?? `cannot be listened on: ${message}`}`,
					),
				);
			this.server.once("error", refuse);
			this.server.listen(port, host, () => {
				this.server.off("error", refuse);
				resolve();
			});
		});
	}

	/** Waits for the requests under way, at most `ms`, and ends every connection that carries none. */
	close(ms: number): Promise<void> {
		this.#closing ??= new Promise((resolve) => {
			const timer = setTimeout(() => this.server.closeAllConnections(), ms);
			this.server.close(() => {
				clearTimeout(timer);
				resolve();
			});
			if (this.#underWay === 0) this.server.closeAllConnections();
		});
		return this.#closing;
	}
}
