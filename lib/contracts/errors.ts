import { Errors } from "moleculer";

/** Errors that no domain owns: what the gateway and the middlewares answer with. */
export const commonErrors = {
	MALFORMED_BODY: { status: 400, message: "The body is not valid JSON" },
	BAD_HEADER: { status: 400, message: "A header is malformed" },
	UNAUTHENTICATED: { status: 401, message: "Invalid authentication credentials" },
	FORBIDDEN: { status: 403, message: "Insufficient permissions" },
	DEAD_LETTER_NOT_FOUND: { status: 404, message: "There is no such dead letter" },
	ROUTE_NOT_FOUND: { status: 404, message: "There is nothing at this address" },
	METHOD_NOT_ALLOWED: { status: 405, message: "This address does not take this method" },
	IDEMPOTENCY_KEY_IN_USE: {
		status: 409,
		message: "A request with this Idempotency-Key is still running",
	},
	PRECONDITION_FAILED: { status: 412, message: "It has changed since you read it" },
	PAYLOAD_TOO_LARGE: { status: 413, message: "The body is larger than 100 kB" },
	UNSUPPORTED_MEDIA_TYPE: { status: 415, message: "Send application/json" },
	IDEMPOTENCY_KEY_REUSED: {
		status: 422,
		message: "This Idempotency-Key was used with another body",
	},
	VALIDATION_ERROR: { status: 422, message: "Some fields are not valid" },
	RATE_LIMITED: { status: 429, message: "Too many requests" },
	INTERNAL_ERROR: { status: 500, message: "Something went wrong on our side" },
	SERVICE_UNAVAILABLE: { status: 503, message: "Service temporarily unavailable" },
} as const;
export type CommonError = keyof typeof commonErrors;

/** One of the common errors, to be thrown. `data` becomes extra members of the problem document. */
export function commonError(code: CommonError, data?: object, message?: string): Error {
	const { status, message: standard } = commonErrors[code];
	return new Errors.MoleculerClientError(message ?? standard, status, code, data);
}
/** A validation error of one field. `code` is in SCREAMING_SNAKE_CASE like every `errors[].code`; the type rejects a lower-case letter. */
export const invalidField = (field: string, code: Uppercase<string>, message: string): Error =>
	commonError("VALIDATION_ERROR", { errors: [{ field, message, code }] });
