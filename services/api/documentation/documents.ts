import { createHash } from "node:crypto";
import { promisify } from "node:util";
import { brotliCompress, constants, gzip } from "node:zlib";
import Negotiator from "negotiator";
import { type HttpResponse, JSON_TYPE, type Request } from "../http/exchange.ts";
import { isUnchanged } from "../http/response.ts";

export type Encoding = "br" | "gzip" | "identity";
const PREFERRED: readonly Encoding[] = ["br", "gzip", "identity"];
/** Minimum size of a compressed body, in bytes. A smaller body fits into one packet. */
const MIN_COMPRESSED = 1000;
/** Reduces the size by half in a fortieth of the time of the best quality (11). */
const BROTLI = { params: { [constants.BROTLI_PARAM_QUALITY]: 6 } };

/**
 * Content that is identical for all clients. It stays in memory with its entity tag and the
 * compressed forms requested so far.
 */
export interface Document {
	readonly content: string;
	readonly type: string;
	readonly headers: Readonly<Record<string, string>>;
	/** Weak, because all encodings share it (RFC 9110, 8.8.1). */
	readonly etag: string;
	/** Returns the body in an encoding; compresses it once. */
	encoded(encoding: Encoding): Promise<Buffer>;
}

/** Creates a document. */
export function document(
	content: string,
	type = JSON_TYPE,
	headers: Document["headers"] = {},
): Document {
	const identity = Buffer.from(content);
	const bodies = new Map<Encoding, Promise<Buffer>>([["identity", Promise.resolve(identity)]]);
	return {
		content,
		type,
		// Clients may cache the content but must revalidate it.
		headers: { "Cache-Control": "no-cache", ...headers },
		etag: `W/"${createHash("sha256").update(identity).digest("base64url").slice(0, 27)}"`,
		encoded(encoding) {
			const body = bodies.get(encoding) ?? compress(encoding, identity);
			bodies.set(encoding, body);
			return body;
		},
	};
}

const compressors = {
	br: (body: Buffer) => promisify(brotliCompress)(body, BROTLI),
	gzip: promisify<Buffer, Buffer>(gzip),
};
const compress = (encoding: Encoding, body: Buffer): Promise<Buffer> =>
	encoding === "identity" || body.length < MIN_COMPRESSED
		? Promise.resolve(body)
		: compressors[encoding](body);

/** Returns a document in the preferred encoding, or 304 if the client has it. */
export async function documentResponse(
	req: Request,
	{ etag, type, headers, content, encoded }: Document,
): Promise<HttpResponse> {
	// The CORS headers depend on Origin.
	const all = { ...headers, ETag: etag, Vary: "Accept-Encoding, Origin" };
	if (isUnchanged(req, etag)) return { status: 304, headers: all };
	const encoding = content.length < MIN_COMPRESSED ? "identity" : bestEncoding(req);
	return {
		status: 200,
		type,
		headers: encoding === "identity" ? all : { ...all, "Content-Encoding": encoding },
		body: await encoded(encoding),
	};
}

/** Returns the smallest accepted encoding. Browsers list all with the same weight, gzip first. */
export function bestEncoding(req: Request): Encoding {
	const accepted = new Negotiator(req).encodings([...PREFERRED]);
	return PREFERRED.find((encoding) => accepted.includes(encoding)) ?? "identity";
}

/** Loads a document at the first request; repeats a failed load at the next request. */
export function loadOnce(load: () => Promise<Document>): () => Promise<Document> {
	let loaded: Promise<Document> | undefined;
	return () => {
		loaded ??= load().catch((error) => {
			loaded = undefined;
			throw error;
		});
		return loaded;
	};
}

/**
 * Rebuilds a document when `revision` has changed. Keeps the existing document, with its compressed
 * forms, if the content is the same.
 */
export function perRevision<A extends { readonly revision: number }>(
	build: (source: A) => Document,
): (source: A) => Document {
	let built: { revision: number; document: Document } | undefined;
	return (source) => {
		if (built?.revision !== source.revision) {
			const fresh = build(source);
			const same = built?.document.content === fresh.content;
			built = { revision: source.revision, document: same ? built!.document : fresh };
		}
		return built!.document;
	};
}
