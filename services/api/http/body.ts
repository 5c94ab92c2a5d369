import type { IncomingMessage } from "node:http";
import { commonError, invalidField } from "../../../lib/contracts/errors.ts";

const LIMIT = 100 * 1024;
const DEPTH = 20;
/** More fields and elements than any request has: 100 order lines come to a few hundred. */
const FIELDS = 2000;
/** Parameters mean nothing here (RFC 8259): JSON is UTF-8. */
const JSON_BODY = /^application\/json *($|;)/i;
const FORM_BODY = /^application\/x-www-form-urlencoded *($|;)/i;
const utf8 = new TextDecoder("utf-8", { fatal: true });

/**
 * The JSON object in a request's body; without a body an empty one.
 * @throws UNSUPPORTED_MEDIA_TYPE, PAYLOAD_TOO_LARGE, MALFORMED_BODY, VALIDATION_ERROR
 */
export async function readBody(req: IncomingMessage): Promise<Record<string, unknown>> {
	const {
		"content-type": type = "",
		"content-encoding": encoding = "identity",
		"content-length": length,
	} = req.headers;
	const chunked = req.headers["transfer-encoding"] !== undefined;
	if (!chunked && !(Number(length) > 0)) return {};
	if (Number(length) > LIMIT) throw commonError("PAYLOAD_TOO_LARGE");
	const bytes = await readBytes(req);
	if (bytes.length === 0) return {};
	if (!JSON_BODY.test(type) || encoding !== "identity") throw commonError("UNSUPPORTED_MEDIA_TYPE");
	const body = parse(bytes);
	if (typeof body !== "object" || body === null || Array.isArray(body)) {
		throw invalidField("", "OBJECT", "The body must be a JSON object");
	}
	assertClean(body, "", 1, { left: FIELDS });
	return body as Record<string, unknown>;
}

/**
 * The fields of an HTML form in a request's body.
 * @throws UNSUPPORTED_MEDIA_TYPE, PAYLOAD_TOO_LARGE, MALFORMED_BODY
 */
export async function readForm(req: IncomingMessage): Promise<URLSearchParams> {
	const { "content-type": type = "", "content-length": length } = req.headers;
	if (!FORM_BODY.test(type))
		throw commonError(
			"UNSUPPORTED_MEDIA_TYPE",
			undefined,
			"Send application/x-www-form-urlencoded",
		);
	if (Number(length) > LIMIT) throw commonError("PAYLOAD_TOO_LARGE");
	return new URLSearchParams((await readBytes(req)).toString("utf8"));
}

/** What is too much is not kept, but still taken from the connection by node:http, so that the sender gets to read the answer. */
function readBytes(req: IncomingMessage): Promise<Buffer> {
	return new Promise((resolve, reject) => {
		const chunks: Buffer[] = [];
		let size = 0;
		req.on("data", (chunk: Buffer) => {
			size += chunk.length;
			if (size > LIMIT) {
				req.removeAllListeners("data");
				req.resume();
				reject(commonError("PAYLOAD_TOO_LARGE"));
			} else chunks.push(chunk);
		});
		req.once("end", () => resolve(chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks)));
		// The sender went away in the middle; nobody will read the answer. After the end it is no news.
		const gone = () => {
			if (!req.readableEnded) reject(commonError("MALFORMED_BODY"));
		};
		req.once("error", gone);
		req.once("close", gone);
	});
}

function parse(bytes: Buffer): unknown {
	try {
		return JSON.parse(utf8.decode(bytes));
	} catch {
		throw commonError("MALFORMED_BODY");
	}
}

/** Refuses what no handler should have to think of. @param depth of the value's own fields @param fields that the rest of the body may have */
function assertClean(value: unknown, field: string, depth: number, fields: { left: number }): void {
	if (typeof value === "string") assertText(value, field);
	if (typeof value !== "object" || value === null) return;
	if (depth > DEPTH)
		throw invalidField(field, "DEPTH", `The body is nested deeper than ${DEPTH} levels`);
	const entries = Object.entries(value);
	fields.left -= entries.length;
	if (fields.left < 0)
		throw invalidField("", "FIELDS", `The body has more than ${FIELDS} fields and elements`);
	for (const [key, inner] of entries) {
		assertKey(key);
		assertClean(
			inner,
			Array.isArray(value) ? `${field}[${key}]` : field ? `${field}.${key}` : key,
			depth + 1,
			fields,
		);
	}
}

/** @throws VALIDATION_ERROR for text that has no UTF-8 form, or that Postgres cannot hold */
export function assertText(text: string, field: string): void {
	if (text.includes("\0") || !text.isWellFormed()) {
		throw invalidField(
			field,
			"TEXT",
			`The '${field}' field holds a character that cannot be stored`,
		);
	}
}
/** @throws VALIDATION_ERROR for a key that would reach an object's prototype */
export function assertKey(key: string): void {
	assertText(key, "");
	if (key === "__proto__")
		throw invalidField(key, "OBJECT_STRICT", "A field cannot have this name");
}
