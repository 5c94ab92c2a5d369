import { commonErrors } from "../../../lib/contracts/errors.ts";
import { exampleOf, exampleOfShape } from "../../../lib/contracts/examples.ts";
import {
	objectSchema,
	type Rule,
	type Shape,
	toJsonSchema,
} from "../../../lib/contracts/schema.ts";
import { MEDIA_TYPES } from "../../../lib/contracts/transfers.ts";
import { EXACT_UP_TO } from "../../../lib/persistence/approximate-count.ts";
import type { Published } from "../routing/published.ts";
import { serviceOf } from "../routing/routes.ts";
import {
	type ErrorCatalogue,
	failures,
	filesOf,
	headers,
	JSON_BODY,
	type Json,
	success,
	WITHOUT_BODY,
} from "./openapi-responses.ts";
import { problemExample, problemSchema } from "./problem-schemas.ts";

export interface DocumentedRoute {
	readonly method: string;
	readonly path: string;
	/** Undefined for a system endpoint. */
	readonly contract?: Published;
}

/** System endpoints, with their response type and an additional 503. */
const SYSTEM_ENDPOINTS: Readonly<
	Record<string, { summary: string; type?: string; unready?: true }>
> = {
	"/": { summary: "Check that the gateway is running" },
	"/health": { summary: "Get the status and number of nodes of each service" },
	"/health/live": { summary: "Liveness probe" },
	"/health/ready": { summary: "Readiness probe", unready: true },
	"/health/serving": { summary: "Readiness probe that ignores the cache", unready: true },
	"/openapi.json": { summary: "Get this OpenAPI document" },
	"/asyncapi.json": { summary: "Get the AsyncAPI document of the events" },
	"/docs": { summary: "Open the interactive API documentation", type: "text/html" },
	"/docs/errors": { summary: "List all error codes", type: "text/html" },
};

/** Creates the OpenAPI 3.1 document from the published contracts. */
export function openapi(
	routes: readonly DocumentedRoute[],
	errors: ErrorCatalogue,
	version: string,
): Json {
	const catalogue = { ...commonErrors, ...errors };
	const paths: Record<string, Json> = {};
	const sorted = [...routes].sort((a, b) =>
		`${a.path} ${a.method}` < `${b.path} ${b.method}` ? -1 : 1,
	);
	for (const { method, path, contract } of sorted) {
		const template = path.replace(/:(\w+)/g, "{$1}");
		const operation = contract ? action(method, path, contract, catalogue) : systemEndpoint(path);
		if (operation) paths[template] = { ...paths[template], [method.toLowerCase()]: operation };
	}
	const services = [
		...new Set(sorted.flatMap(({ contract }) => (contract ? [serviceOf(contract.name)] : []))),
	].sort();
	return {
		openapi: "3.1.0",
		info: {
			title: "moleculer-commerce",
			version,
			summary: "An online shop's backend",
			description:
				"Errors are problem details (RFC 9457) with a stable code. /docs/errors lists all codes.",
			license: { name: "MIT", identifier: "MIT" },
		},
		servers: [{ url: "/" }],
		tags: [...services, "gateway"].map((name) => ({ name })),
		paths,
		components: {
			securitySchemes: {
				bearerAuth: { type: "http", scheme: "bearer", bearerFormat: "JWT" },
				...secretSchemes(routes),
			},
			schemas: { Problem: problemSchema },
			examples: Object.fromEntries(
				Object.entries(catalogue)
					.sort(([a], [b]) => (a < b ? -1 : 1))
					.map(([code, error]) => [code, { value: problemExample(code, error) }]),
			),
			headers: {
				"X-Request-ID": {
					description: "ID from the request if well-formed, otherwise a new ID",
					schema: { type: "string" },
				},
				"X-Process-Time": {
					description: "Processing time in milliseconds",
					schema: { type: "string" },
				},
				"X-Total-Count": {
					description:
						"Number of rows on all pages, or in a file: " +
						`exact up to ${EXACT_UP_TO}, an estimate above`,
					schema: { type: "string" },
				},
				"X-Search-Corrected": {
					description:
						"Words, percent-encoded, that were found instead of those of `q`, " +
						"which no product contains",
					schema: { type: "string" },
				},
				Link: {
					description: "Links to the next and previous page (RFC 8288)",
					schema: { type: "string" },
				},
				ETag: { schema: { type: "string" } },
				Location: {
					description:
						"The created resource, or the resource that shows the progress of accepted work",
					schema: { type: "string" },
				},
				"Preference-Applied": {
					description: "respond-async if the request preferred it (RFC 7240)",
					schema: { type: "string" },
				},
				"Retry-After": {
					description: "Seconds to wait before the next attempt",
					schema: { type: "string" },
				},
			},
		},
	};
}

/** Fields without fastest-validator's options, which begin with $$. */
const fieldsOf = (params: Shape): [string, Rule][] =>
	Object.entries(params).filter(([field]) => !field.startsWith("$$"));

function action(
	method: string,
	path: string,
	contract: Published,
	catalogue: ErrorCatalogue,
): Json {
	const { name, summary, params } = contract;
	const inPath = new Set([...path.matchAll(/:(\w+)/g)].map(([, field]) => field!));
	// The gateway creates the parameters of an upload and the cursor of a download.
	const isOwn = (field: string) => !contract.upload && !(contract.download && field === "cursor");
	const rest = fieldsOf(params).filter(([field]) => !inPath.has(field) && isOwn(field));
	const hasBody = !WITHOUT_BODY.has(method) && rest.length > 0;
	const body = contract.rawBody ? RAW_BODY : requestBody(contract, Object.fromEntries(rest));
	const parameters = [
		...fieldsOf(params).flatMap(([field, rule]) =>
			inPath.has(field) ? [parameter("path", field, rule)] : [],
		),
		...(hasBody ? [] : rest.map(([field, rule]) => parameter("query", field, rule))),
		...headerParameters(method, contract),
	];
	return {
		operationId: method === contract.rest.split(" ")[0] ? name : `${name}.${method.toLowerCase()}`,
		summary: summary ?? name,
		tags: [serviceOf(contract.name)],
		security: securityOf(contract),
		...(parameters.length > 0 ? { parameters } : {}),
		...(hasBody ? { requestBody: body } : {}),
		...(contract.upload ? { requestBody: fileBody } : {}),
		responses: { ...success(method, contract), ...failures(method, contract, catalogue) },
	};
}

/** Alternative credentials. A guest's secret replaces the access token of an account. */
function securityOf({ auth, token }: Published): Json[] {
	const bearer = { bearerAuth: [] };
	if (!token) return auth === "anyone" ? [{}, bearer] : [bearer];
	return auth === "anyone" ? [bearer, { [token]: [] }] : [{ ...bearer, [token]: [] }];
}
/** Headers with the secrets of guests, by name. */
const secretSchemes = (routes: readonly DocumentedRoute[]): Json =>
	Object.fromEntries(
		[...new Set(routes.flatMap(({ contract }) => contract?.token ?? []))].sort().map((name) => [
			name,
			{
				type: "apiKey",
				in: "header",
				name,
				description: "Secret of the resource, from the response that created it or from a mail",
			},
		]),
	);

function parameter(place: "path" | "query", name: string, rule: Rule): Json {
	// OpenAPI cannot describe free names after a prefix, so the document has an example of one.
	if (rule.type === "record")
		return parameter(place, `${name}.${exampleOf(rule.key)}`, {
			...rule.value,
			...(rule.optional ? { optional: true } : {}),
			...(rule.description ? { description: rule.description } : {}),
		});
	const required = place === "path" || !(rule.optional || "default" in rule);
	return {
		name,
		in: place,
		...(required ? { required: true } : {}),
		schema: toJsonSchema(rule),
		example: exampleOf(rule),
	};
}
function headerParameters(method: string, { idempotent, async, etag, stream }: Published): Json[] {
	const header = (name: string, description: string) => ({
		name,
		in: "header",
		description,
		schema: { type: "string" },
	});
	return [
		...(idempotent
			? [
					header(
						"Idempotency-Key",
						"1 to 255 printable ASCII characters. " +
							"A request with the same key and body returns the same response for 24 hours",
					),
				]
			: []),
		...(async === "on request" ? [header("Prefer", "respond-async returns 202 immediately")] : []),
		...(etag
			? [
					method === "GET"
						? header("If-None-Match", "Returns 304 if the resource has not changed")
						: header("If-Match", "Returns 412 if the resource has changed"),
				]
			: []),
		...(stream ? [header("Last-Event-ID", "Resume after this event")] : []),
	];
}
const RAW_BODY = { required: true, content: { "*/*": {} } };
const requestBody = ({ bodyList }: Published, shape: Shape): Json => {
	if (bodyList !== undefined) {
		const rule = shape[bodyList]!;
		const content = { schema: toJsonSchema(rule), example: exampleOf(rule) };
		return { required: true, content: { [JSON_BODY]: content } };
	}
	const schema = objectSchema(shape);
	const required = (schema.required as string[]).length > 0;
	return { required, content: { [JSON_BODY]: { schema, example: exampleOfShape(shape) } } };
};
/** A file of rows, of any size. */
const fileBody: Json = {
	required: true,
	description:
		"UTF-8, with Content-Encoding gzip or none. Rows are applied while the file is received",
	content: filesOf(Object.values(MEDIA_TYPES)),
};

function systemEndpoint(path: string): Json | undefined {
	const known = SYSTEM_ENDPOINTS[path];
	// Assets and link pages are not part of the API.
	if (!known) return undefined;
	const { summary, type = JSON_BODY, unready } = known;
	const content = {
		[type]: { schema: type === JSON_BODY ? { type: "object" } : { type: "string" } },
	};
	const name = path.replace(/(?<!\W)\W+(\w)/g, (_, letter: string) => `.${letter}`);
	return {
		operationId: `gateway${name.replace(/\/$/, ".root")}`,
		summary,
		tags: ["gateway"],
		security: [],
		responses: {
			200: { description: "OK", headers: headers(), content },
			...(unready
				? { 503: { description: "Not ready", headers: headers("Retry-After"), content } }
				: {}),
		},
	};
}
