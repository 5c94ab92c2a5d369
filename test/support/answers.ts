import { readFileSync } from "node:fs";
import { Ajv2020, type ValidateFunction } from "ajv/dist/2020.js";
import addFormats from "ajv-formats";
import { path } from "../../tools/documents/openapi.ts";
import type { HttpResponse } from "./http.ts";

interface Response {
	readonly content?: Record<string, { readonly schema: object }>;
}
interface Document {
	readonly paths: Record<string, Record<string, { readonly responses: Record<string, Response> }>>;
	readonly components: object;
}
const document = JSON.parse(readFileSync(path, "utf8")) as Document;
const ajv = new Ajv2020({ strict: false, allErrors: true });
(addFormats as unknown as (ajv: Ajv2020) => void)(ajv);
ajv.addSchema({ $id: "document", components: document.components });
const compiled = new Map<object, ValidateFunction>();

/** Schemas refer to the document's components. */
const local = (schema: object): object =>
	JSON.parse(JSON.stringify(schema).replaceAll('"#/components/', '"document#/components/'));
function validator(schema: object): ValidateFunction {
	const found = compiled.get(schema) ?? ajv.compile(local(schema));
	compiled.set(schema, found);
	return found;
}

/** Fixed segments win over parameters. */
const templates = Object.keys(document.paths)
	.sort((a, b) => a.split("{").length - b.split("{").length)
	.map((template) => ({
		template,
		pattern: new RegExp(`^${template.replace(/\./g, "\\.").replace(/\{\w+\}/g, "[^/]+")}$`),
	}));
const problem = { $ref: "#/components/schemas/Problem" };

/** Fails when an answer is not one that docs/openapi.json promises. */
export function assertResponseIsDocumented(
	method: string,
	address: string,
	{ status, headers, body }: HttpResponse,
): void {
	const plain = address.split("?")[0]!.replace(/(.)\/$/, "$1");
	const template = templates.find(({ pattern }) => pattern.test(plain))?.template;
	const operation =
		template && document.paths[template]![(method === "HEAD" ? "GET" : method).toLowerCase()];
	const about = `${method} ${plain} answered ${status}`;
	const type = headers.get("content-type")?.split(";")[0];
	const fail = (reason: string): never => {
		throw new Error(`${about} ${reason}: ${JSON.stringify(body).slice(0, 1000)}`);
	};
	if (!operation || method === "OPTIONS") {
		if (status >= 400 && type === "application/problem+json") check(problem);
		return;
	}
	const response = operation.responses[status] ?? fail("which is not documented");
	if (method === "HEAD" || body === "") return;
	const content = response.content?.[type ?? ""] ?? fail(`with ${type}, which is not documented`);
	check(content.schema);

	function check(schema: object): void {
		const valid = validator(schema);
		if (!valid(body)) fail(`with what is not as documented (${ajv.errorsText(valid.errors)})`);
	}
}
