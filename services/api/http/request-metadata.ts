import { randomUUID } from "node:crypto";
import type { IncomingHttpHeaders, IncomingMessage } from "node:http";
import type { ActionContract, Meta } from "../../../lib/contracts/contract.ts";
import { commonError } from "../../../lib/contracts/errors.ts";
import { isEntityTagList } from "../../../lib/contracts/etag.ts";

const REQUEST_ID = /^[A-Za-z0-9._-]{1,64}$/;
const IDEMPOTENCY_KEY = /^[\x20-\x7e]{1,255}$/;
/** Methods that change the resource at their path. */
export const CHANGES: ReadonlySet<string> = new Set(["PUT", "PATCH", "DELETE"]);
/** A secret in base64url. Joined values of a repeated header do not match. */
const SECRET = /^[A-Za-z0-9_-]{1,200}$/;
const RESPOND_ASYNC = /(^|,)\s*respond-async\s*($|[,;])/i;

/** Returns the client's request ID if it is well-formed, otherwise a new one. */
export function requestId({ "x-request-id": given }: IncomingHttpHeaders): string {
	return typeof given === "string" && REQUEST_ID.test(given) ? given : randomUUID();
}

/**
 * Returns the metadata of a call. No other header reaches an action.
 * @throws BAD_HEADER; PRECONDITION_FAILED for a change with If-Match if the resource has no ETag:
 * the client cannot have read that version
 */
export function metadata(
	{ method, headers }: IncomingMessage,
	{ idempotent, etag, token }: ActionContract,
): Meta {
	const meta: Meta = {};
	const { "idempotency-key": key, "if-match": tags, prefer } = headers;
	if (idempotent && key !== undefined) {
		if (typeof key !== "string" || !IDEMPOTENCY_KEY.test(key)) {
			throw commonError(
				"BAD_HEADER",
				undefined,
				"Idempotency-Key takes 1 to 255 printable ASCII characters",
			);
		}
		meta.idempotency_key = key;
	}
	if (token) {
		const secret = headers[token.toLowerCase()];
		if (secret !== undefined) meta.token = acceptSecret(secret, token);
	}
	if (etag && tags !== undefined) {
		if (!isEntityTagList(tags))
			throw commonError("BAD_HEADER", undefined, "If-Match takes entity tags in quotes, or *");
		meta.if_match = tags;
	}
	if (!etag && tags !== undefined && tags.trim() !== "*" && CHANGES.has(method!)) {
		throw commonError(
			"PRECONDITION_FAILED",
			undefined,
			"If-Match cannot be met: this resource has no ETag",
		);
	}
	if (typeof prefer === "string" && RESPOND_ASYNC.test(prefer)) meta.respond_async = true;
	return meta;
}

/** @throws BAD_HEADER */
function acceptSecret(secret: string | string[], header: string): string {
	if (typeof secret === "string" && SECRET.test(secret)) return secret;
	throw commonError("BAD_HEADER", undefined, `${header} takes 1 to 200 characters of base64url`);
}
