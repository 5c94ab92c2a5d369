import { commonError, invalidField } from "../../../lib/contracts/errors.ts";
import { MEDIA_TYPES } from "../../../lib/contracts/transfers.ts";
import { batchesOf } from "../../../lib/records/batches.ts";
import { HeaderError, readCsv } from "../../../lib/records/csv.ts";
import { readNdjson } from "../../../lib/records/ndjson.ts";
import { batchBytesOf } from "../../../lib/resilience/message-size.ts";
import { type Gateway, type Request, type Response, writeHead } from "../http/exchange.ts";
import { toProblem } from "../http/problem-details.ts";
import { bodyOf, formatOf } from "./body.ts";
import { distinctRows, type Row } from "./distinct-rows.ts";
import { sendBatch } from "./part-calls.ts";
import { UploadReport } from "./upload-report.ts";

/** Uploads that a gateway processes at the same time. */
const PER_GATEWAY = 2;
/** Seconds after which a refused client may repeat its request. */
const RETRY_AFTER_S = 10;
/**
 * Maximum number of rows and bytes of a batch. Larger ones occupy the event loop for milliseconds
 * and enlarge the heap: all of their objects live until their transaction ends. Postgres needs the
 * same time per row for batches of 500 rows.
 */
const BATCH_ROWS = 100;
const MAX_BATCH_BYTES = 64 * 1024;
/** Milliseconds after which an incomplete batch is sent. */
const BATCH_MS = 500;
/** Milliseconds to discard the rest of a body whose response has been sent. */
const DISCARD_MS = 5000;

/** Files from clients (docs/adr/0030): reads rows and sends them to their action in batches. */
export class Uploads {
	readonly #gateway: Gateway;
	readonly #running = new Set<AbortController>();
	#closing = false;

	constructor(gateway: Gateway) {
		this.#gateway = gateway;
	}

	/**
	 * Applies the rows of a file while it is received. Responds with a line per batch, `{rows}`, and
	 * a summary with `done: true`. A failure after the first batch is reported in the summary, with
	 * `done: false`.
	 * @throws RATE_LIMITED, SERVICE_UNAVAILABLE, UNSUPPORTED_MEDIA_TYPE; VALIDATION_ERROR for the
	 * header; errors of the first batch
	 */
	async serve(req: Request, res: Response): Promise<void> {
		if (this.#closing) throw commonError("SERVICE_UNAVAILABLE");
		if (this.#running.size >= PER_GATEWAY)
			throw commonError(
				"RATE_LIMITED",
				{ retry_after: RETRY_AFTER_S },
				`${PER_GATEWAY} files are being imported: wait until one of them is complete`,
			);
		const stop = new AbortController();
		this.#running.add(stop);
		const limitAgain = this.#gateway.listener.withoutTimeLimit(req.socket);
		res.once("close", () => stop.abort(commonError("SERVICE_UNAVAILABLE")));
		try {
			await this.#receive(req, res, stop);
		} finally {
			this.#running.delete(stop);
			stop.abort();
			limitAgain();
			discardRest(req);
		}
	}

	/** Ends every upload after its current batch. */
	close(): void {
		this.#closing = true;
		for (const stop of this.#running) stop.abort(commonError("SERVICE_UNAVAILABLE"));
	}

	async #receive(req: Request, res: Response, { signal }: AbortController): Promise<void> {
		const { key } = req.$alias.contract!.upload!;
		const report = new UploadReport(key);
		let sending: Promise<void> | undefined;
		try {
			const format = formatOf(req);
			const { columns, rows } = await open(format, bodyOf(req, signal));
			const send = async (batch: Row[]) => {
				report.add(await sendBatch(req, { format, columns: [...columns], rows: batch }, signal));
				this.#progress(req, res, report.rows);
			};
			const distinct = distinctRows(rows, columns, key, report);
			const limits = { rows: BATCH_ROWS, bytes: this.#batchBytes(), ms: BATCH_MS };
			// The next batch is read while the previous one is being applied.
			for await (const batch of batchesOf(distinct, bytesOf, limits)) {
				await sending;
				signal.throwIfAborted();
				sending = send(batch);
				// Its failure is handled at the next await.
				sending.catch(() => undefined);
			}
			await (sending ?? send([]));
			end(res, { done: true, ...report.summary() });
		} catch (error) {
			await sending?.catch(() => undefined);
			if (!res.headersSent) throw error;
			this.#fail(req, res, error, report);
		}
	}

	#batchBytes(): number {
		return Math.min(MAX_BATCH_BYTES, batchBytesOf(this.#gateway.broker) / 2);
	}

	/** A client that does not read its response misses progress lines, but delays no upload. */
	#progress(req: Request, res: Response, rows: number): void {
		if (!res.headersSent)
			writeHead(this.#gateway, req, res, 200, {
				"Content-Type": MEDIA_TYPES.ndjson,
				"Cache-Control": "no-store",
				"X-Accel-Buffering": "no",
			});
		if (rows > 0 && !res.writableNeedDrain && !res.destroyed)
			res.write(`${JSON.stringify({ rows })}\n`);
	}

	#fail(req: Request, res: Response, error: unknown, report: UploadReport): void {
		const { code, detail } = toProblem(error, req.$alias.action);
		req.failure = { error, code };
		this.#gateway.logger.warn("An upload was not completed", { request_id: req.id, code, error });
		end(res, { done: false, code, detail, request_id: req.id, ...report.summary() });
	}
}

/** Approximate bytes of a row in a message. */
const bytesOf = ({ value }: Row): number => JSON.stringify(value).length;

async function open(format: "csv" | "ndjson", bytes: AsyncGenerator<Uint8Array>) {
	if (format === "ndjson") return { columns: [], rows: readNdjson(bytes) };
	try {
		return await readCsv(bytes);
	} catch (error) {
		throw error instanceof HeaderError ? invalidField("", "HEADER", error.message) : error;
	}
}

function end(res: Response, line: object): void {
	if (!res.destroyed) res.end(`${JSON.stringify(line)}\n`);
}

/**
 * Receives the rest of a body for some time, so that its client can read the response. A complete
 * request must not be destroyed: its connection may already serve the next one.
 */
function discardRest(req: Request): void {
	if (req.complete || req.destroyed) return;
	req.unpipe();
	req.resume();
	const timer = setTimeout(() => {
		if (!req.complete) req.destroy();
	}, DISCARD_MS).unref();
	req.once("close", () => clearTimeout(timer));
}
