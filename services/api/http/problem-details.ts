import { commonErrors } from "../../../lib/contracts/errors.ts";
import { isOutage } from "../../../lib/resilience/outages.ts";
import {
	type Gateway,
	type HttpResponse,
	type Request,
	type Response,
	sendResponse,
} from "./exchange.ts";

interface FieldError {
	readonly field: string;
	readonly message: string;
	readonly code: string;
}
/** A failure as a client may see it. */
export interface Problem {
	readonly status: number;
	readonly code: string;
	readonly detail: string;
	readonly errors?: readonly FieldError[];
	/** Further members of the document. */
	readonly data?: object;
}
/** What of an error is left when it comes from another node: no class, so only these are compared. */
interface Failure {
	readonly type?: unknown;
	readonly code?: unknown;
	readonly message?: string;
	readonly data?: unknown;
}
/** What moleculer's validator says of one field. */
interface Complaint {
	readonly type: string;
	readonly field?: string;
	readonly message: string;
	readonly actual?: unknown;
	readonly action?: string;
}

const CODE = /^[A-Z][A-Z0-9]*(_[A-Z0-9]+)*$/;
/** Seconds. */
const RETRY_AFTER = 5;

/**
 * Errors that are meant for the client pass, all others are hidden behind one fixed sentence.
 * @param action that the gateway called
 */
export function toProblem(error: unknown, action?: string): Problem {
	const { type, code, message = "", data } = (error ?? {}) as Failure;
	if (code === 503 || isOutage(error)) return common("SERVICE_UNAVAILABLE");
	if (type === "VALIDATION_ERROR" && Array.isArray(data)) {
		// Parameters that an action passed on to another are not the client's mistake.
		const own = (data as Complaint[]).every((complaint) => complaint.action === action);
		return own
			? { ...common("VALIDATION_ERROR"), errors: (data as Complaint[]).flatMap(toFieldErrors) }
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

const isObject = (value: unknown): value is object =>
	typeof value === "object" && value !== null && !Array.isArray(value);

function common(code: keyof typeof commonErrors): Problem {
	const { status, message } = commonErrors[code];
	return { status, code, detail: message };
}

/** `stringMin` of fastest-validator is STRING_MIN; fields that nobody asked for are named one by one. */
function toFieldErrors({ type, field = "", message, actual }: Complaint): FieldError[] {
	const code = type.replace(/[A-Z]/g, "_$&").toUpperCase();
	if (type !== "objectStrict") return [{ field, message, code }];
	return String(actual)
		.split(", ")
		.map((name) => ({
			field: field ? `${field}.${name}` : name,
			message: `There is no field '${name}' here`,
			code,
		}));
}

/** SKU_TAKEN is "Sku taken". */
export const titleOf = (code: string): string =>
	code[0] + code.slice(1).toLowerCase().replaceAll("_", " ");

/** RFC 9457. `type` leads to the code's section of the error reference. */
export function problemResponse(
	{ status, code, detail, errors, data }: Problem,
	requestId: string,
): HttpResponse {
	const { retry_after = RETRY_AFTER, ...members } = (data ?? {}) as {
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

/** Answers a request that failed; the journal logs it when it ends, and nobody else does. */
export function sendProblem(gateway: Gateway, req: Request, res: Response, error: unknown): void {
	const problem = toProblem(error, req.$alias?.action);
	req.failure = { error, code: problem.code };
	if (res.headersSent) {
		// Half an answer cannot be taken back; the client must see that it is not whole.
		res.destroy();
		return;
	}
	const { headers, ...answer } = problemResponse(problem, req.id);
	sendResponse(gateway, req, res, {
		...answer,
		headers: { ...req.$ctx?.meta.$responseHeaders, ...headers },
	});
}
