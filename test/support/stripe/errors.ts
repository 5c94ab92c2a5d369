/** Body of Stripe's errors, https://docs.stripe.com/api/errors. */
export interface ErrorBody {
	readonly type: "api_error" | "card_error" | "idempotency_error" | "invalid_request_error";
	readonly code?: string;
	readonly message: string;
	readonly param?: string;
	readonly decline_code?: string;
	readonly charge?: string;
	readonly payment_intent?: object;
	readonly payment_method?: object;
}

/** Error response of the API. */
export class ApiError extends Error {
	readonly status: number;
	readonly body: ErrorBody;
	/** `Stripe-Should-Retry` header, if the response has one. */
	readonly shouldRetry: boolean | undefined;
	/**
	 * Whether an idempotency key stores the response. Stripe stores a response only after the
	 * execution of the endpoint has begun, hence no validation error.
	 */
	readonly stored: boolean;

	constructor(
		status: number,
		body: ErrorBody,
		{ shouldRetry, stored = true }: { shouldRetry?: boolean; stored?: boolean } = {},
	) {
		super(body.message);
		this.status = status;
		this.body = body;
		this.shouldRetry = shouldRetry;
		this.stored = stored;
	}
}

type Details = Omit<ErrorBody, "type" | "message">;

/** The request is well-formed, but the current state rejects it. */
export const rejected = (message: string, details: Details = {}) =>
	new ApiError(400, { type: "invalid_request_error", message, ...details });

/** A parameter is missing or invalid. */
export const invalidParameter = (message: string, details: Details) =>
	new ApiError(400, { type: "invalid_request_error", message, ...details }, { stored: false });

/** No object has the id. */
export const resourceMissing = (kind: string, id: string, param: string, status = 404) =>
	new ApiError(status, {
		type: "invalid_request_error",
		code: "resource_missing",
		message: `No such ${kind}: '${id}'`,
		param,
	});

export const unrecognizedUrl = (method: string, path: string) =>
	new ApiError(
		404,
		{
			type: "invalid_request_error",
			message: `Unrecognized request URL (${method}: ${path}).`,
		},
		{ stored: false },
	);

export const unauthorized = (message: string) =>
	new ApiError(401, { type: "invalid_request_error", message }, { stored: false });

export const serverError = () =>
	new ApiError(
		500,
		{ type: "api_error", message: "An unknown error occurred." },
		{ shouldRetry: false },
	);

export const rateLimited = () =>
	new ApiError(
		429,
		{
			type: "invalid_request_error",
			code: "rate_limit",
			message: "Request rate limit exceeded.",
		},
		{ stored: false },
	);

export const lockTimeout = () =>
	new ApiError(
		429,
		{
			type: "invalid_request_error",
			code: "lock_timeout",
			message: "Another API request or Stripe process is currently accessing this object.",
		},
		{ shouldRetry: true, stored: false },
	);
