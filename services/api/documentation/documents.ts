import { createHash } from "node:crypto";
import { promisify } from "node:util";
import { brotliCompress, constants, gzip } from "node:zlib";
import Negotiator from "negotiator";
import { type HttpResponse, JSON_TYPE, type Request } from "../http/exchange.ts";
import { isUnchanged } from "../http/response.ts";

type Encoding = "br" | "gzip" | "identity";
const PREFERRED: readonly Encoding[] = ["br", "gzip", "identity"];
/** Bytes. A smaller body fits into one packet anyway. */
const WORTH_COMPRESSING = 1000;
/** Half of the size at a fortieth of the time that the best quality (11) takes. */
const BROTLI = { params: { [constants.BROTLI_PARAM_QUALITY]: 6 } };

/** Content that is the same for every client. It stays in memory, with its entity tag and the compressed forms that were requested so far. */
export interface Document {
	readonly content: string;
	readonly type: string;
	readonly headers: Readonly<Record<string, string>>;
	/** Weak, because all encodings share it (RFC 9110, 8.8.1). */
	readonly etag: string;
	/** The body in an encoding, which is compressed once. */
	encoded(encoding: Encoding): Promise<Buffer>;
}

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
		// Without more, a client may keep the content but must check whether it has changed.
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
	encoding === "identity" || body.length < WORTH_COMPRESSING
		? Promise.resolve(body)
		: compressors[encoding](body);

/** The response with a document: in the encoding that the client prefers, or 304 when the client has it already. */
export async function documentResponse(
	req: Request,
	{ etag, type, headers, content, encoded }: Document,
): Promise<HttpResponse> {
	// Origin, because the headers of cross-origin access depend on it.
	const all = { ...headers, ETag: etag, Vary: "Accept-Encoding, Origin" };
	if (isUnchanged(req, etag)) return { status: 304, headers: all };
	const encoding = content.length < WORTH_COMPRESSING ? "identity" : bestEncoding(req);
	return {
		status: 200,
		type,
		headers: encoding === "identity" ? all : { ...all, "Content-Encoding": encoding },
		body: await encoded(encoding),
	};
}

/** The smallest encoding that the client accepts. Browsers list all encodings with the same weight, gzip first. */
function bestEncoding(req: Request): Encoding {
	const accepted = new Negotiator(req).encodings([...PREFERRED]);
	return PREFERRED.find((encoding) => accepted.includes(encoding)) ?? "identity";
}

/** Loads a document when it is first requested; a failed load is repeated at the next request. */
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

/** Rebuilds a document only when `revision` has changed, and keeps the old one, with its compressed forms, when its content has not. */
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
