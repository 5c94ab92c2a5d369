import { readFileSync } from "node:fs";
import { Ajv2020, type ValidateFunction } from "ajv/dist/2020.js";
import addFormats from "ajv-formats";
import { path as documentPath } from "../../tools/documents/openapi.ts";
import type { HttpResponse } from "./http.ts";

interface Response {
	readonly content?: Record<string, { readonly schema: object }>;
}
interface Document {
	readonly paths: Record<string, Record<string, { readonly responses: Record<string, Response> }>>;
	readonly components: object;
}
const document = JSON.parse(readFileSync(documentPath, "utf8")) as Document;
const ajv = new Ajv2020({ strict: false, allErrors: true });
(addFormats as unknown as (ajv: Ajv2020) => void)(ajv);
ajv.addSchema({ $id: "document", components: document.components });
const compiled = new Map<object, ValidateFunction>();

/** Redirects references to the document's components. */
const localize = (schema: object): object =>
	JSON.parse(JSON.stringify(schema).replaceAll('"#/components/', '"document#/components/'));
function validator(schema: object): ValidateFunction {
	const validate = compiled.get(schema) ?? ajv.compile(localize(schema));
	compiled.set(schema, validate);
	return validate;
}

/** Templates with fewer parameters first: fixed segments take precedence. */
const templates = Object.keys(document.paths)
	.sort((a, b) => a.split("{").length - b.split("{").length)
	.map((template) => ({
		template,
		pattern: new RegExp(`^${template.replace(/\./g, "\\.").replace(/\{\w+\}/g, "[^/]+")}$`),
	}));
const problem = { $ref: "#/components/schemas/Problem" };

/** @throws if docs/openapi.json does not document the response */
export function assertResponseIsDocumented(
	method: string,
	target: string,
	{ status, headers, body }: HttpResponse,
): void {
	const path = target.split("?")[0]!.replace(/(.)\/$/, "$1");
	const template = templates.find(({ pattern }) => pattern.test(path))?.template;
	const operation =
		template && document.paths[template]![(method === "HEAD" ? "GET" : method).toLowerCase()];
	const request = `${method} ${path}`;
	const type = headers.get("content-type")?.split(";")[0];
	const fail = (reason: string): never => {
		throw new Error(`${request} ${reason}: ${JSON.stringify(body).slice(0, 1000)}`);
	};
	if (!operation || method === "OPTIONS") {
		if (status >= 400 && type === "application/problem+json") check(problem);
		return;
	}
	const response =
		operation.responses[status] ?? fail(`returned ${status}, which is not documented`);
	if (method === "HEAD" || body === "") return;
	const content =
		response.content?.[type ?? ""] ??
		fail(`returned ${status} with ${type}, which is not documented`);
	check(content.schema);

	function check(schema: object): void {
		const validate = validator(schema);
		if (!validate(body))
			fail(`violates its documented schema (${ajv.errorsText(validate.errors)})`);
	}
}
