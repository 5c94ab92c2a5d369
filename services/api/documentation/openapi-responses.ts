import { exampleOf } from "../../../lib/contracts/examples.ts";
import { type Rule, toJsonSchema } from "../../../lib/contracts/schema.ts";
import { MEDIA_TYPES } from "../../../lib/contracts/transfers.ts";
import { CHANGES } from "../http/request-metadata.ts";
import type { Published } from "../routing/published.ts";

/** Errors by their codes. */
export type ErrorCatalogue = Readonly<
	Record<string, { readonly status: number; readonly message: string }>
>;
export type Json = Record<string, unknown>;

export const JSON_BODY = "application/json";
export const WITHOUT_BODY = new Set(["GET", "HEAD", "DELETE"]);
const reference = (kind: string, name: string) => ({ $ref: `#/components/${kind}/${name}` });

/** References the headers of every response, and those given. */
export const headers = (...names: string[]) =>
	Object.fromEntries(
		["X-Request-ID", "X-Process-Time", ...names].map((name) => [name, reference("headers", name)]),
	);

/** Content of files of rows. */
export const filesOf = (types: readonly string[]): Json =>
	Object.fromEntries(types.map((type) => [type, { schema: { type: "string" } }]));

const PROGRESS = filesOf([MEDIA_TYPES.ndjson]);
const UPLOADED =
	"A line {rows} after each batch of rows, and a last line {done, created, " +
	"updated, unchanged, failed, errors} with the first 1,000 errors. " +
	"If `done` is false, some rows were not applied: send the file again";

/** Responses of a successful request. */
export function success(
	method: string,
	{ status: own, returns, page: paged, etag, stream, upload, download, async }: Published,
): Json {
	const status = own ?? 200;
	const descriptions = {
		200: "OK",
		201: "Created",
		202: "Accepted",
		204: "No Content",
	} as const;
	const description = descriptions[status];
	if (status === 204) return { 204: { description, headers: headers() } };
	if (stream) {
		return {
			200: {
				description: "Server-Sent Events",
				headers: headers(),
				content: { "text/event-stream": { schema: { type: "string" } } },
			},
			204: { description: "No further events will follow", headers: headers() },
		};
	}
	if (upload) return { 200: { description: UPLOADED, headers: headers(), content: PROGRESS } };
	if (download) {
		const content = filesOf(Object.values(MEDIA_TYPES));
		return { 200: { description: "The file", headers: headers("X-Total-Count"), content } };
	}
	const rule = paged && returns.type === "object" ? returns.props.rows! : returns;
	const content = { [JSON_BODY]: { schema: toJsonSchema(rule), example: exampleOf(rule) } };
	return {
		[status]: {
			description,
			headers: headers(
				...(paged || isList(method, returns) ? ["X-Total-Count"] : []),
				...(paged ? ["Link"] : []),
				...(isSearch(returns) ? ["X-Search-Corrected"] : []),
				...(etag === true ? ["ETag"] : []),
			),
			content,
		},
		...(async
			? {
					202: {
						description: "Accepted; processing continues",
						headers: headers("Location", "Preference-Applied"),
						content,
					},
				}
			: {}),
		...(etag === true && method === "GET"
			? { 304: { description: "Not Modified", headers: headers("ETag") } }
			: {}),
	};
}

/** Whether a response is a complete list. */
const isList = (method: string, returns: Rule): boolean =>
	method === "GET" && returns.type === "array";

/** Whether a page may be that of a corrected search. */
const isSearch = (returns: Rule): boolean =>
	returns.type === "object" && Object.hasOwn(returns.props, "corrected");

/** Error responses, with the codes of each status. */
export function failures(method: string, contract: Published, catalogue: ErrorCatalogue): Json {
	const { auth, idempotent, etag, token, stream, rawBody, throws = [] } = contract;
	const codes = new Set<string>([
		// A public route ignores an invalid token.
		...(auth === "anyone" ? [] : ["UNAUTHENTICATED", "FORBIDDEN"]),
		...(WITHOUT_BODY.has(method)
			? []
			: ["MALFORMED_BODY", "PAYLOAD_TOO_LARGE", ...(rawBody ? [] : ["UNSUPPORTED_MEDIA_TYPE"])]),
		...(idempotent || etag || token || stream ? ["BAD_HEADER"] : []),
		// Unknown fields are errors as well.
		"VALIDATION_ERROR",
		...(CHANGES.has(method) ? ["PRECONDITION_FAILED"] : []),
		...throws,
		...(rawBody ? [] : ["RATE_LIMITED"]),
		"INTERNAL_ERROR",
		"SERVICE_UNAVAILABLE",
	]);
	const byStatus = Map.groupBy(codes, (code) => catalogue[code]!.status);
	return Object.fromEntries(
		[...byStatus]
			.sort(([a], [b]) => a - b)
			.map(([status, some]) => [status, problem(status, some, catalogue)]),
	);
}
function problem(status: number, codes: readonly string[], catalogue: ErrorCatalogue): Json {
	const schema = {
		allOf: [
			reference("schemas", "Problem"),
			{ properties: { status: { const: status }, code: { enum: codes } } },
		],
	};
	const examples = Object.fromEntries(codes.map((code) => [code, reference("examples", code)]));
	return {
		description: codes.map((code) => catalogue[code]!.message).join("; "),
		headers: headers(...(status === 429 || status === 503 ? ["Retry-After"] : [])),
		content: { "application/problem+json": { schema, examples } },
	};
}
