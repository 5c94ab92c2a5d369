import type { IncomingMessage } from "node:http";
import { commonError, invalidField } from "../../../lib/contracts/errors.ts";

/** Maximum size in bytes. */
const LIMIT = 100 * 1024;
/** Maximum size in bytes of a list: every accepted NATS server transmits it in one message. */
const LIST_LIMIT = 192 * 1024;
/** Maximum nesting depth. */
const DEPTH = 20;
/** Maximum number of fields and elements. An order of 100 lines has a few hundred. */
const FIELDS = 2000;
/** Maximum number of fields and elements of a list. Most rows have fewer than ten. */
const LIST_FIELDS = 20_000;
/** Media type parameters are ignored: JSON is always UTF-8 (RFC 8259). */
const JSON_BODY = /^application\/json *($|;)/i;
const FORM_BODY = /^application\/x-www-form-urlencoded *($|;)/i;
const ENCODED = "The body must not be compressed: send it without Content-Encoding";
const utf8 = new TextDecoder("utf-8", { fatal: true });

/**
 * Reads the JSON object in a request's body; returns an empty object without a body.
 * @param list name of the parameter whose value is the body, which is then a JSON array
 * @throws UNSUPPORTED_MEDIA_TYPE, PAYLOAD_TOO_LARGE, MALFORMED_BODY, VALIDATION_ERROR
 */
export async function readBody(
	req: IncomingMessage,
	list?: string,
): Promise<Record<string, unknown>> {
	const {
		"content-type": type = "",
		"content-encoding": encoding = "identity",
		"content-length": length,
	} = req.headers;
	const chunked = req.headers["transfer-encoding"] !== undefined;
	if (!chunked && !(Number(length) > 0)) return {};
	const limit = list === undefined ? LIMIT : LIST_LIMIT;
	if (Number(length) > limit) throw tooLarge(limit);
	const bytes = await readBytes(req, limit);
	if (bytes.length === 0) return {};
	if (encoding.toLowerCase() !== "identity")
		throw commonError("UNSUPPORTED_MEDIA_TYPE", undefined, ENCODED);
	if (!JSON_BODY.test(type)) throw commonError("UNSUPPORTED_MEDIA_TYPE");
	const body = parse(bytes);
	if (list !== undefined) return { [list]: checkedList(body) };
	if (typeof body !== "object" || body === null || Array.isArray(body)) {
		throw invalidField("", "OBJECT", "The body must be a JSON object");
	}
	assertWithinLimits(body, "", 1, fieldLimit(FIELDS));
	return body as Record<string, unknown>;
}

/** @throws VALIDATION_ERROR if the body is not a JSON array within the limits */
function checkedList(body: unknown): unknown[] {
	if (!Array.isArray(body)) throw invalidField("", "ARRAY", "The body must be a JSON array");
	assertWithinLimits(body, "", 1, fieldLimit(LIST_FIELDS));
	return body;
}

/**
 * Reads the bytes of a request's body, of any media type.
 * @param limit maximum size in bytes
 * @throws PAYLOAD_TOO_LARGE, MALFORMED_BODY if the client disconnects
 */
export function readRawBody(req: IncomingMessage, limit: number): Promise<Buffer> {
	if (Number(req.headers["content-length"]) > limit) throw tooLarge(limit);
	return readBytes(req, limit);
}
const tooLarge = (limit: number) =>
	commonError(
		"PAYLOAD_TOO_LARGE",
		undefined,
		limit === LIMIT ? undefined : `The body is larger than ${limit / 1024} kB`,
	);

/**
 * Reads the fields of an HTML form from a request's body.
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

/**
 * Reads the body. An oversized body is discarded but still received, so the client can read the
 * response.
 */
function readBytes(req: IncomingMessage, limit = LIMIT): Promise<Buffer> {
	return new Promise((resolve, reject) => {
		const chunks: Buffer[] = [];
		let size = 0;
		req.on("data", (chunk: Buffer) => {
			size += chunk.length;
			if (size > limit) {
				req.removeAllListeners("data");
				req.resume();
				reject(tooLarge(limit));
			} else chunks.push(chunk);
		});
		req.once("end", () => resolve(chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks)));
		// The client disconnected before the end of the body.
		const onDisconnect = () => {
			if (!req.readableEnded) reject(commonError("MALFORMED_BODY"));
		};
		req.once("error", onDisconnect);
		req.once("close", onDisconnect);
	});
}

function parse(bytes: Buffer): unknown {
	try {
		return JSON.parse(utf8.decode(bytes));
	} catch {
		throw commonError("MALFORMED_BODY");
	}
}

/** Number of fields and elements that a body may have, and that its rest may have. */
interface FieldLimit {
	readonly max: number;
	left: number;
}
const fieldLimit = (max: number): FieldLimit => ({ max, left: max });

/**
 * Checks depth, number of fields, texts and keys.
 * @param depth depth of the value's own fields
 */
function assertWithinLimits(
	value: unknown,
	field: string,
	depth: number,
	fields: FieldLimit,
): void {
	if (typeof value === "string") assertText(value, field);
	if (typeof value !== "object" || value === null) return;
	if (depth > DEPTH)
		throw invalidField(field, "DEPTH", `The body is nested deeper than ${DEPTH} levels`);
	const entries = Object.entries(value);
	fields.left -= entries.length;
	if (fields.left < 0)
		throw invalidField("", "FIELDS", `The body has more than ${fields.max} fields and elements`);
	for (const [key, inner] of entries) {
		assertKey(key);
		assertWithinLimits(
			inner,
			Array.isArray(value) ? `${field}[${key}]` : field ? `${field}.${key}` : key,
			depth + 1,
			fields,
		);
	}
}

/** @throws VALIDATION_ERROR for text that has no UTF-8 form or that Postgres cannot store */
export function assertText(text: string, field: string): void {
	if (text.includes("\0") || !text.isWellFormed()) {
		throw invalidField(
			field,
			"TEXT",
			`The '${field}' field contains a character that cannot be stored`,
		);
	}
}
/** @throws VALIDATION_ERROR for a key that would change an object's prototype */
export function assertKey(key: string): void {
	assertText(key, "");
	if (key === "__proto__")
		throw invalidField(key, "OBJECT_STRICT", "This field name is not allowed");
}
