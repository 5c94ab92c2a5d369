import type { ProblemCode } from "./actions.ts";

/** Error of one field of a request. */
export interface FieldError {
	readonly field: string;
	readonly message: string;
	readonly code: string;
}
/** Members of a problem document (RFC 9457) that every problem has. */
const STANDARD = new Set(["type", "title", "status", "detail", "code", "request_id", "errors"]);

/** Response with an error: a problem document (RFC 9457). */
export class ProblemError<C extends string = ProblemCode> extends Error {
	override readonly name = "ProblemError";
	/** HTTP status. */
	readonly status: number;
	/** Stable code of the error. UNKNOWN if a proxy responded without a problem document. */
	readonly code: C;
	/** Description for people. */
	readonly detail: string;
	/** ID of the request, for the shop's log. */
	readonly request_id: string | undefined;
	/** Errors of fields, with VALIDATION_ERROR. */
	readonly errors: readonly FieldError[];
	/** Further members of the document, such as `order_id`. */
	readonly data: Readonly<Record<string, unknown>>;
	readonly headers: Headers;
	/**
	 * Number of attempts. If it is greater than 1, an earlier attempt may have taken effect although
	 * its response was lost: EMAIL_TAKEN can be the result of the first one.
	 */
	readonly attempts: number;

	constructor(
		status: number,
		document: Readonly<Record<string, unknown>>,
		headers: Headers,
		attempts: number,
	) {
		const { code, detail, request_id, errors } = document;
		const text = typeof detail === "string" ? detail : `The shop responded with ${status}`;
		super(text);
		this.status = status;
		this.code = (typeof code === "string" ? code : "UNKNOWN") as C;
		this.detail = text;
		this.request_id =
			typeof request_id === "string" ? request_id : (headers.get("x-request-id") ?? undefined);
		this.errors = Array.isArray(errors) ? errors : [];
		this.data = Object.fromEntries(
			Object.entries(document).filter(([name]) => !STANDARD.has(name)),
		);
		this.headers = headers;
		this.attempts = attempts;
	}
}

/** No response: the shop is not reachable, or the connection was lost. The effect is unknown. */
export class NetworkError extends Error {
	override readonly name = "NetworkError";
	readonly attempts: number;

	constructor(message: string, attempts: number, cause?: unknown) {
		super(message, { cause });
		this.attempts = attempts;
	}
}

/** The session has ended, because its refresh token is no longer valid: sign in again. */
export class SessionEndedError extends Error {
	override readonly name = "SessionEndedError";

	constructor(cause: unknown) {
		super("The session has ended: sign in again", { cause });
	}
}

/** Whether an error is a problem, with one of the codes if any are given. */
export function isProblem(error: unknown): error is ProblemError;
export function isProblem<C extends ProblemCode>(
	error: unknown,
	...codes: [C, ...C[]]
): error is ProblemError<C>;
export function isProblem(error: unknown, ...codes: string[]): boolean {
	return error instanceof ProblemError && (codes.length === 0 || codes.includes(error.code));
}

/** Reads the problem of a response. */
export async function problemOf(response: Response, attempts: number): Promise<ProblemError> {
	const text = await response.text();
	return new ProblemError(response.status, documentOf(text), response.headers, attempts);
}

function documentOf(text: string): Record<string, unknown> {
	try {
		const document: unknown = JSON.parse(text);
		if (typeof document === "object" && document !== null && !Array.isArray(document))
			return document as Record<string, unknown>;
	} catch {
		// A proxy responded with another format.
	}
	return {};
}
