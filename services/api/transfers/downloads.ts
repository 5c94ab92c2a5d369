import { once } from "node:events";
import { commonError } from "../../../lib/contracts/errors.ts";
import { type DownloadPart, type Format, MEDIA_TYPES } from "../../../lib/contracts/transfers.ts";
import { type Gateway, type Request, type Response, writeHead } from "../http/exchange.ts";
import { readParameters } from "../http/parameters.ts";
import { callUntilAvailable } from "./part-calls.ts";

/** Downloads that a gateway serves at the same time. */
const PER_GATEWAY = 4;
const RETRY_AFTER_S = 10;
/** Milliseconds in which a client must read a part. */
const STALL_MS = 60_000;

/** Files to clients (docs/adr/0030). Reads parts from the action as fast as the client reads. */
export class Downloads {
	readonly #gateway: Gateway;
	readonly #running = new Set<AbortController>();
	#closing = false;

	constructor(gateway: Gateway) {
		this.#gateway = gateway;
	}

	/**
	 * Responds with a file. A failure after the first part closes the connection, so that the client
	 * can detect that the file is incomplete.
	 * @throws RATE_LIMITED, SERVICE_UNAVAILABLE; errors of the first part
	 */
	async serve(req: Request, res: Response): Promise<void> {
		if (this.#closing) throw commonError("SERVICE_UNAVAILABLE");
		if (this.#running.size >= PER_GATEWAY)
			throw commonError(
				"RATE_LIMITED",
				{ retry_after: RETRY_AFTER_S },
				`${PER_GATEWAY} files are being exported: wait until one of them is complete`,
			);
		const stop = new AbortController();
		this.#running.add(stop);
		res.once("close", () => stop.abort());
		try {
			await this.#send(req, res, stop.signal);
		} finally {
			this.#running.delete(stop);
		}
	}

	/** Ends every download. */
	close(): void {
		this.#closing = true;
		for (const stop of this.#running) stop.abort();
	}

	async #send(req: Request, res: Response, signal: AbortSignal): Promise<void> {
		const params = await readParameters(req, req.$params.params as Record<string, string>);
		const format = (params.format ?? "csv") as Format;
		const load = (cursor?: string) =>
			callUntilAvailable<DownloadPart>(
				req,
				{ ...params, ...(cursor === undefined ? {} : { cursor }) },
				signal,
			);
		let part = await load();
		this.#writeHead(req, res, format, part);
		if (req.method === "HEAD") return void res.end();
		for (;;) {
			if (signal.aborted) throw commonError("SERVICE_UNAVAILABLE");
			if (!res.write(part.text)) await drained(res, signal);
			if (part.cursor === null) return void res.end();
			part = await load(part.cursor);
		}
	}

	#writeHead(req: Request, res: Response, format: Format, { rows }: DownloadPart): void {
		const { name } = req.$alias.contract!.download!;
		const parameters = format === "csv" ? "; charset=utf-8" : "";
		writeHead(this.#gateway, req, res, 200, {
			"Content-Type": MEDIA_TYPES[format] + parameters,
			"Content-Disposition": `attachment; filename="${name}.${format}"`,
			"Cache-Control": "no-store",
			"X-Accel-Buffering": "no",
			...(rows === undefined ? {} : { "X-Total-Count": String(rows) }),
		});
	}
}

/** @throws SERVICE_UNAVAILABLE if the client does not read, disconnects, or the gateway stops */
async function drained(res: Response, signal: AbortSignal): Promise<void> {
	const limit = AbortSignal.any([signal, AbortSignal.timeout(STALL_MS)]);
	await once(res, "drain", { signal: limit }).catch(() => {
		throw commonError("SERVICE_UNAVAILABLE");
	});
}
