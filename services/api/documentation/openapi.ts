import { commonErrors } from "../../../lib/contracts/errors.ts";
import { exampleOf, exampleOfShape } from "../../../lib/contracts/examples.ts";
import {
	objectSchema,
	type Rule,
	type Shape,
	toJsonSchema,
} from "../../../lib/contracts/schema.ts";
import { EXACT_UP_TO } from "../../../lib/persistence/approximate-count.ts";
import { CHANGES } from "../http/request-metadata.ts";
import type { Published } from "../routing/published.ts";
import { problemExample, problemSchema } from "./problem-schemas.ts";

export interface DocumentedRoute {
	readonly method: string;
	readonly path: string;
	/** Undefined where the gateway itself answers. */
	readonly contract?: Published;
}
/** Errors by their codes. */
export type ErrorCatalogue = Readonly<
	Record<string, { readonly status: number; readonly message: string }>
>;
type Json = Record<string, unknown>;

const JSON_BODY = "application/json";
const WITHOUT_BODY = new Set(["GET", "HEAD", "DELETE"]);
const reference = (kind: string, name: string) => ({ $ref: `#/components/${kind}/${name}` });

/** What the gateway's own addresses are for, and what they answer besides 200 with JSON. */
const PAGES: Readonly<Record<string, { summary: string; type?: string; unready?: true }>> = {
	"/": { summary: "That the gateway runs" },
	"/health": { summary: "Every service, and on how many nodes it is up" },
	"/health/live": { summary: "That this process is alive" },
	"/health/ready": { summary: "Whether requests should be sent here", unready: true },
	"/openapi.json": { summary: "This document" },
	"/asyncapi.json": { summary: "The events between the services, as AsyncAPI" },
	"/docs": { summary: "This document as a page to try things out on", type: "text/html" },
	"/docs/errors": { summary: "Every error code", type: "text/html" },
};

/** The HTTP API as an OpenAPI 3.1 document, made from what is published and nothing else. */
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
		const operation = contract ? action(method, path, contract, catalogue) : page(path);
		if (operation) paths[template] = { ...paths[template], [method.toLowerCase()]: operation };
	}
	const services = [
		...new Set(sorted.flatMap(({ contract }) => (contract ? [serviceOf(contract)] : []))),
	].sort();
	return {
		openapi: "3.1.0",
		info: {
			title: "moleculer-commerce",
			version,
			summary: "An online shop's backend",
			description: "Every error has a code that stays the same; /docs/errors lists them.",
			license: { name: "MIT", identifier: "MIT" },
		},
		servers: [{ url: "/" }],
		tags: [...services, "gateway"].map((name) => ({ name })),
		paths,
		components: {
			securitySchemes: { bearerAuth: { type: "http", scheme: "bearer", bearerFormat: "JWT" } },
			schemas: { Problem: problemSchema },
			examples: Object.fromEntries(
				Object.entries(catalogue)
					.sort(([a], [b]) => (a < b ? -1 : 1))
					.map(([code, error]) => [code, { value: problemExample(code, error) }]),
			),
			headers: {
				"X-Request-ID": {
					description: "The caller's where it is well-formed, or a new one",
					schema: { type: "string" },
				},
				"X-Process-Time": { description: "Milliseconds", schema: { type: "string" } },
				"X-Total-Count": {
					description: `How many there are on all pages: exactly up to ${EXACT_UP_TO}, above that an estimate`,
					schema: { type: "string" },
				},
				Link: { description: "The neighbouring pages (RFC 8288)", schema: { type: "string" } },
				ETag: { schema: { type: "string" } },
				Location: {
					description: "The resource that was created, or that shows how the work goes on",
					schema: { type: "string" },
				},
				"Preference-Applied": {
					description: "respond-async, when the request preferred it (RFC 7240)",
					schema: { type: "string" },
				},
				"Retry-After": { description: "Seconds", schema: { type: "string" } },
			},
		},
	};
}

const serviceOf = ({ name }: Published) => name.split(".")[0]!;
const headers = (...names: string[]) =>
	Object.fromEntries(
		["X-Request-ID", "X-Process-Time", ...names].map((name) => [name, reference("headers", name)]),
	);
/** moleculer's own switches begin with $$. */
const fieldsOf = (params: Shape): [string, Rule][] =>
	Object.entries(params).filter(([field]) => !field.startsWith("$$"));

function action(
	method: string,
	path: string,
	contract: Published,
	catalogue: ErrorCatalogue,
): Json {
	const { name, summary, auth, params } = contract;
	const inPath = new Set([...path.matchAll(/:(\w+)/g)].map(([, field]) => field!));
	const rest = fieldsOf(params).filter(([field]) => !inPath.has(field));
	const hasBody = !WITHOUT_BODY.has(method) && rest.length > 0;
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
		tags: [serviceOf(contract)],
		security: auth === "anyone" ? [{}, { bearerAuth: [] }] : [{ bearerAuth: [] }],
		...(parameters.length > 0 ? { parameters } : {}),
		...(hasBody ? { requestBody: requestBody(Object.fromEntries(rest)) } : {}),
		responses: { ...success(method, contract), ...failures(method, contract, catalogue) },
	};
}

function parameter(place: "path" | "query", name: string, rule: Rule): Json {
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
						"1 to 255 printable characters: the same key and body get the same answer for 24 hours",
					),
				]
			: []),
		...(async === "on request" ? [header("Prefer", "respond-async answers 202 at once")] : []),
		...(etag
			? [
					method === "GET"
						? header("If-None-Match", "304 when nothing has changed")
						: header("If-Match", "412 when it has changed"),
				]
			: []),
		...(stream ? [header("Last-Event-ID", "Goes on after this event")] : []),
	];
}
const requestBody = (shape: Shape): Json => {
	const schema = objectSchema(shape);
	const required = (schema.required as string[]).length > 0;
	return { required, content: { [JSON_BODY]: { schema, example: exampleOfShape(shape) } } };
};

function success(
	method: string,
	{ status: own, returns, page: paged, etag, stream, async }: Published,
): Json {
	const status = own ?? 200;
	const said = {
		200: "Done",
		201: "Created",
		202: "Accepted",
		204: "Done; there is nothing to say",
	} as const;
	const description = said[status];
	if (status === 204) return { 204: { description, headers: headers() } };
	if (stream) {
		return {
			200: {
				description: "Server-Sent Events",
				headers: headers(),
				content: { "text/event-stream": { schema: { type: "string" } } },
			},
			204: { description: "There is nothing more to come", headers: headers() },
		};
	}
	const rule = paged && returns.type === "object" ? returns.props.rows! : returns;
	const content = { [JSON_BODY]: { schema: toJsonSchema(rule), example: exampleOf(rule) } };
	return {
		[status]: {
			description,
			headers: headers(...(paged ? ["X-Total-Count", "Link"] : []), ...(etag ? ["ETag"] : [])),
			content,
		},
		...(async
			? {
					202: {
						description: "Accepted; it goes on",
						headers: headers("Location", "Preference-Applied"),
						content,
					},
				}
			: {}),
		...(etag && method === "GET"
			? { 304: { description: "Nothing has changed", headers: headers("ETag") } }
			: {}),
	};
}

function failures(method: string, contract: Published, catalogue: ErrorCatalogue): Json {
	const { auth, idempotent, etag, throws = [] } = contract;
	const codes = new Set<string>([
		// A public route ignores an invalid token.
		...(auth === "anyone" ? [] : ["UNAUTHENTICATED", "FORBIDDEN"]),
		...(WITHOUT_BODY.has(method)
			? []
			: ["MALFORMED_BODY", "PAYLOAD_TOO_LARGE", "UNSUPPORTED_MEDIA_TYPE"]),
		...(idempotent || etag ? ["BAD_HEADER"] : []),
		// Fields that nobody asked for are errors, too.
		"VALIDATION_ERROR",
		...(CHANGES.has(method) ? ["PRECONDITION_FAILED"] : []),
		...throws,
		"RATE_LIMITED",
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

function page(path: string): Json | undefined {
	const known = PAGES[path];
	// What a page is made of is no part of the API.
	if (!known) return undefined;
	const { summary, type = JSON_BODY, unready } = known;
	const content = {
		[type]: { schema: type === JSON_BODY ? { type: "object" } : { type: "string" } },
	};
	return {
		operationId: `gateway${path.replace(/(?<!\W)\W+(\w)/g, (_, letter: string) => `.${letter}`).replace(/\/$/, ".root")}`,
		summary,
		tags: ["gateway"],
		security: [],
		responses: {
			200: { description: "Done", headers: headers(), content },
			...(unready ? { 503: { description: "No", headers: headers(), content } } : {}),
		},
	};
}
