import { commonErrors, RETRY_AFTER_SECONDS } from "../../../lib/contracts/errors.ts";
import {
	type FieldError,
	toFieldErrors,
	type Violation,
} from "../../../lib/contracts/violations.ts";
import { isUnavailable } from "../../../lib/resilience/outages.ts";
import {
	type Gateway,
	type HttpResponse,
	type Request,
	type Response,
	sendResponse,
	sendsSecret,
} from "./exchange.ts";

/** An error as it is sent to the client. */
export interface Problem {
	readonly status: number;
	readonly code: string;
	readonly detail: string;
	readonly errors?: readonly FieldError[] | undefined;
	/** Further members of the document. */
	readonly data?: object | undefined;
}
/** Members of an error that survive the transport between nodes; its class does not. */
interface Failure {
	readonly type?: unknown;
	readonly code?: unknown;
	readonly message?: string;
	readonly data?: unknown;
}
const CODE = /^[A-Z][A-Z0-9]*(_[A-Z0-9]+)*$/;

/**
 * Converts an error to a problem. Client errors are passed on; all others become INTERNAL_ERROR
 * with a fixed message.
 * @param action name of the action that the gateway called
 * @param list name of the parameter whose value is the body
 */
export function toProblem(error: unknown, action?: string, list?: string): Problem {
	const problem = problemOf(error, action);
	return list !== undefined && problem.code === "VALIDATION_ERROR"
		? withFieldsOfList(problem, list)
		: problem;
}

function problemOf(error: unknown, action: string | undefined): Problem {
	const { type, code, message = "", data } = (error ?? {}) as Failure;
	if (isUnavailable(error)) return { ...common("SERVICE_UNAVAILABLE"), ...serviceOf(data) };
	if (type === "VALIDATION_ERROR" && Array.isArray(data)) {
		// Invalid parameters of a call between services are not the client's error.
		const own = (data as Violation[]).every((violation) => violation.action === action);
		return own
			? { ...common("VALIDATION_ERROR"), errors: (data as Violation[]).flatMap(toFieldErrors) }
			: common("INTERNAL_ERROR");
	}
	if (
		typeof code === "number" &&
		code >= 400 &&
		code < 500 &&
		typeof type === "string" &&
		CODE.test(type)
	) {
		return { status: code, code: type, detail: message, ...(isObject(data) ? { data } : {}) };
	}
	return common("INTERNAL_ERROR");
}

/** The service that an action names as unavailable. */
function serviceOf(data: unknown): Pick<Problem, "data"> {
	const { service } = (data ?? {}) as { service?: unknown };
	return typeof service === "string" ? { data: { service } } : {};
}

/** Errors of fields, from the validator or from an action. */
export const fieldErrors = ({ errors, data }: Pick<Problem, "errors" | "data">) =>
	errors ?? (data as { errors?: readonly FieldError[] } | undefined)?.errors ?? [];

/** Names the fields of a body that is a list as its client does: `rates[3].name` is `[3].name`. */
function withFieldsOfList({ errors, data, ...problem }: Problem, list: string): Problem {
	const named = fieldErrors({ errors, data }).map(({ field, message, code }) => {
		const isInList = field === list || field.startsWith(`${list}[`);
		return {
			field: isInList ? field.slice(list.length) : field,
			message: message.replace(`The '${list}' field`, "The body").replace(`'${list}[`, "'["),
			code,
		};
	});
	return { ...problem, errors: named };
}

const isObject = (value: unknown): value is object =>
	typeof value === "object" && value !== null && !Array.isArray(value);

function common(code: keyof typeof commonErrors): Problem {
	const { status, message } = commonErrors[code];
	return { status, code, detail: message };
}

/** Converts a code to a title: SKU_TAKEN to "Sku taken". */
export const titleOf = (code: string): string =>
	code[0] + code.slice(1).toLowerCase().replaceAll("_", " ");

/** Creates the response for a problem (RFC 9457). `type` refers to the error reference. */
export function problemResponse(
	{ status, code, detail, errors, data }: Problem,
	requestId: string,
): HttpResponse {
	const { retry_after = RETRY_AFTER_SECONDS, ...members } = (data ?? {}) as {
		retry_after?: number;
		allow?: string[];
	};
	return {
		status,
		type: "application/problem+json",
		headers: {
			...(status === 401 ? { "WWW-Authenticate": "Bearer" } : {}),
			...(status === 405 ? { Allow: members.allow!.join(", ") } : {}),
			...(status === 429 || status === 503 ? { "Retry-After": String(retry_after) } : {}),
		},
		body: JSON.stringify({
			...members,
			type: `/docs/errors#${code}`,
			title: titleOf(code),
			status,
			detail,
			code,
			request_id: requestId,
			...(errors ? { errors } : {}),
		}),
	};
}

/** Whether a request with a secret failed because of the secret, or of another guess. */
const isWrongGuess = (req: Request, { status, code }: Problem): boolean =>
	sendsSecret(req) && (status === 404 || !!req.$alias.contract?.guesses?.includes(code));

/** Sends the response for an error. The access log records the error when the request ends. */
export function sendProblem(gateway: Gateway, req: Request, res: Response, error: unknown): void {
	const problem = toProblem(error, req.$alias?.action, req.$alias?.contract?.bodyList);
	req.failure = { error, code: problem.code };
	if (isWrongGuess(req, problem)) void gateway.rateLimits.countGuess(req.address);
	if (res.headersSent) {
		// The head has been sent: closing the connection shows the client that the response is
		// incomplete.
		res.destroy();
		return;
	}
	const { headers, ...response } = problemResponse(problem, req.id);
	sendResponse(gateway, req, res, {
		...response,
		headers: { ...req.$ctx?.meta.$responseHeaders, ...headers },
	});
}
