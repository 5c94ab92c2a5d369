import { Errors } from "moleculer";

/** Errors of the gateway and the middlewares, which belong to no domain. */
export const commonErrors = {
	MALFORMED_BODY: { status: 400, message: "The body is not valid JSON" },
	BAD_HEADER: { status: 400, message: "A header is malformed" },
	UNAUTHENTICATED: { status: 401, message: "Invalid authentication credentials" },
	FORBIDDEN: { status: 403, message: "Insufficient permissions" },
	DEAD_LETTER_NOT_FOUND: { status: 404, message: "Dead letter not found" },
	ROUTE_NOT_FOUND: { status: 404, message: "No route matches this path" },
	METHOD_NOT_ALLOWED: { status: 405, message: "The path does not support this method" },
	IDEMPOTENCY_KEY_IN_USE: {
		status: 409,
		message: "A request with this Idempotency-Key is still running",
	},
	PRECONDITION_FAILED: { status: 412, message: "The resource has changed since it was read" },
	PAYLOAD_TOO_LARGE: { status: 413, message: "The body is larger than 100 kB" },
	UNSUPPORTED_MEDIA_TYPE: { status: 415, message: "The body must be application/json" },
	IDEMPOTENCY_KEY_REUSED: {
		status: 422,
		message: "This Idempotency-Key was already used with another body",
	},
	VALIDATION_ERROR: { status: 422, message: "Some fields are not valid" },
	RATE_LIMITED: { status: 429, message: "Too many requests" },
	INTERNAL_ERROR: { status: 500, message: "Internal error; report it with the request_id" },
	SERVICE_UNAVAILABLE: { status: 503, message: "Service temporarily unavailable" },
} as const;
export type CommonError = keyof typeof commonErrors;

/** Default of Retry-After, in seconds. Every response with 503 has this header. */
export const RETRY_AFTER_SECONDS = 5;

/** Creates a common error. `data` becomes additional members of the problem document. */
export function commonError(code: CommonError, data?: object, message?: string): Error {
	const { status, message: standard } = commonErrors[code];
	return new Errors.MoleculerClientError(message ?? standard, status, code, data);
}
/** Creates a validation error of one field. `code` is in SCREAMING_SNAKE_CASE. */
export const invalidField = (field: string, code: Uppercase<string>, message: string): Error =>
	commonError("VALIDATION_ERROR", { errors: [{ field, message, code }] });
