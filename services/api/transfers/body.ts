import { PassThrough, type Readable } from "node:stream";
import { setImmediate } from "node:timers/promises";
import { createGunzip } from "node:zlib";
import { commonError } from "../../../lib/contracts/errors.ts";
import { type Format, MEDIA_TYPES } from "../../../lib/contracts/transfers.ts";
import type { Request } from "../http/exchange.ts";

/** Milliseconds that a client may pause while it sends a file. */
const IDLE_MS = 30_000;
/** Maximum bytes of a part of the body. All rows of a part are in memory while they are applied. */
const PART_BYTES = 8 * 1024;

const FORMATS = Object.entries(MEDIA_TYPES) as [Format, string][];

/** @throws UNSUPPORTED_MEDIA_TYPE if the body is no file of rows, or its encoding is not gzip */
export function formatOf({ headers }: Request): Format {
	const { "content-type": type = "", "content-encoding": encoding = "identity" } = headers;
	const essence = type.split(";", 1)[0]!.trim().toLowerCase();
	const charset = /;\s*charset="?([^";]+)/i.exec(type)?.[1]?.trim().toLowerCase() ?? "utf-8";
	const format = FORMATS.find(([, one]) => one === essence)?.[0];
	if (!format || !/^utf-?8$/.test(charset) || !/^(identity|gzip|x-gzip)$/i.test(encoding))
		throw commonError(
			"UNSUPPORTED_MEDIA_TYPE",
			undefined,
			"Send text/csv or application/x-ndjson in UTF-8, with Content-Encoding gzip or none",
		);
	return format;
}

/** Milliseconds of processing after which other requests take their turn. */
const MAX_BLOCK_MS = 10;

function* partsOf(chunk: Uint8Array): Generator<Uint8Array> {
	for (let start = 0; start < chunk.length; start += PART_BYTES)
		yield chunk.subarray(start, start + PART_BYTES);
}

/**
 * Reads the body of any size, decompressed, as fast as it is consumed. The request itself is not
 * destroyed when reading stops, because the client must be able to receive the response.
 * @param signal stops reading
 * @throws MALFORMED_BODY for invalid gzip, a client that pauses for too long or that disconnects
 */
export async function* bodyOf(
	req: Request,
	signal: AbortSignal,
	idleMs = IDLE_MS,
): AsyncGenerator<Uint8Array> {
	const zipped = (req.headers["content-encoding"] ?? "identity").toLowerCase() !== "identity";
	const bytes: Readable = req.pipe(zipped ? createGunzip() : new PassThrough());
	const stop = (error: Error) => bytes.destroy(error);
	const malformed = (message: string) => commonError("MALFORMED_BODY", undefined, message);
	const onClose = () => {
		if (!req.complete) stop(malformed("The client disconnected before the end of the body"));
	};
	const onAbort = () => stop(signal.reason as Error);
	const late = () => stop(malformed(`The body paused for ${idleMs / 1000} seconds`));
	req.once("close", onClose);
	signal.addEventListener("abort", onAbort);
	let timer = setTimeout(late, idleMs);
	let begun = performance.now();
	try {
		for await (const chunk of bytes) {
			clearTimeout(timer);
			for (const part of partsOf(chunk as Uint8Array)) {
				yield part;
				// Rows that fill no batch, such as invalid ones, are processed without any wait.
				if (performance.now() - begun < MAX_BLOCK_MS) continue;
				await setImmediate();
				begun = performance.now();
			}
			timer = setTimeout(late, idleMs);
		}
	} catch (error) {
		throw String((error as { code?: unknown }).code).startsWith("Z_")
			? malformed("The body is not valid gzip")
			: error;
	} finally {
		clearTimeout(timer);
		req.off("close", onClose);
		signal.removeEventListener("abort", onAbort);
	}
}
