import { readFileSync } from "node:fs";
import { expect, test } from "@jest/globals";
import { Validator } from "@seriousme/openapi-schema-validator";
import { Ajv2020 } from "ajv/dist/2020.js";
import addFormats from "ajv-formats";
import { startShop } from "../../test/support/shop.ts";
import { document, path } from "./openapi.ts";

const generated = await document();
// biome-ignore lint/suspicious/noExplicitAny: the document is inspected dynamically
const parsed = JSON.parse(generated) as any;
// biome-ignore lint/suspicious/noExplicitAny: the document is inspected dynamically
const operations: [string, any][] = Object.entries(parsed.paths).flatMap(([path, methods]) =>
	Object.entries(methods as object).map(([method, operation]): [string, unknown] => [
		`${method.toUpperCase()} ${path}`,
		operation,
	]),
);

test("docs/openapi.json is up to date: npm run openapi", () => {
	expect(readFileSync(path, "utf8")).toBe(generated);
});

test("docs/openapi.json is a valid OpenAPI 3.1 document", async () => {
	const { valid, errors } = await new Validator().validate(JSON.parse(generated));
	expect(errors ?? []).toEqual([]);
	expect(valid).toBe(true);
});

test("the gateway serves the same document, generated from its registry", async () => {
	const shop = await startShop();
	try {
		const { status, body } = await shop.http("GET /openapi.json");
		expect(status).toBe(200);
		expect(body).toEqual(parsed);
	} finally {
		await shop.stop();
	}
});

test("every example matches its schema", () => {
	const ajv = new Ajv2020({ strict: false });
	(addFormats as unknown as (ajv: Ajv2020) => void)(ajv);
	ajv.addSchema({ $id: "document", components: parsed.components });
	const wrong: string[] = [];
	/** Many responses have the same schema. */
	const compiled = new Map<string, ReturnType<Ajv2020["compile"]>>();
	const check = (where: string, schema: object, example: unknown) => {
		const text = JSON.stringify(schema).replaceAll('"#/components/', '"document#/components/');
		const validate = compiled.get(text) ?? ajv.compile(JSON.parse(text));
		compiled.set(text, validate);
		if (!validate(example))
			wrong.push(`${where}: ${ajv.errorsText(validate.errors)} in ${JSON.stringify(example)}`);
	};
	let examples = 0;
	for (const [route, { parameters = [], requestBody, responses }] of operations) {
		for (const { name, schema, example } of parameters)
			if (example !== undefined) check(`${route} ${name}`, schema, example);
		const contents = [requestBody, ...Object.values(responses)].flatMap((part) =>
			Object.values((part as { content?: object })?.content ?? {}),
		);
		for (const { schema, example, examples: several = {} } of contents) {
			for (const value of [
				...(example === undefined ? [] : [example]),
				...Object.keys(several).map((code) => parsed.components.examples[code].value),
			]) {
				check(route, schema, value);
				examples++;
			}
		}
	}
	expect(wrong).toEqual([]);
	expect(examples).toBeGreaterThan(100);
});

test("every operation has a unique id, its security and its error responses", () => {
	const names = operations.map(([, { operationId }]) => operationId);
	expect(new Set(names).size).toBe(names.length);
	const incomplete = operations.filter(([route, { security, responses, requestBody }]) => {
		const isPublic = security?.some((one: object) => !("bearerAuth" in one));
		// Webhooks are not subject to the rate limits.
		const isLimited = !requestBody?.content["*/*"];
		return (
			route.includes("/api/") &&
			!(
				security &&
				(isPublic || responses[401]) &&
				responses[422] &&
				(responses[429] || !isLimited) &&
				responses[503]
			)
		);
	});
	expect(incomplete.map(([route]) => route)).toEqual([]);
});

test("the error reference has every code, and /docs loads no external resources", async () => {
	const shop = await startShop({ services: ["api", "auth", "users"] });
	try {
		const errors = await shop.http("GET /docs/errors");
		expect(errors.headers.get("content-type")).toContain("text/html");
		expect(errors.body).toContain('<section id="EMAIL_TAKEN">');
		const { body: problem } = await shop.http("GET /api/users/me");
		expect(errors.body).toContain(`<section id="${problem.type.split("#")[1]}">`);
		const page = await shop.http("GET /docs/");
		expect(page.headers.get("content-security-policy")).toContain(
			"default-src 'none';script-src 'self'",
		);
		expect(page.body).not.toMatch(/https?:/);
		const parts = [...page.body.matchAll(/(?:src|href)="(\/[^"]+)"/g)].map(([, part]) => part);
		expect(parts).toHaveLength(3);
		for (const part of parts) expect((await shop.http(`GET ${part}`)).status).toBe(200);
	} finally {
		await shop.stop();
	}
});
