import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { escapeHtml } from "../../../lib/text/html.ts";
import { titleOf } from "../http/problem-details.ts";
import { type Document, document, loadOnce } from "./documents.ts";
import type { ErrorCatalogue } from "./openapi-responses.ts";

/** Allows only resources of this origin. Swagger UI uses inline styles. */
const CSP = [
	"default-src 'none'",
	"script-src 'self'",
	"style-src 'self' 'unsafe-inline'",
	"img-src 'self' data:",
	"connect-src 'self'",
	"frame-ancestors 'none'",
];
const HTML = "text/html; charset=utf-8";

const html = (content: string): Document =>
	document(content, HTML, { "Content-Security-Policy": CSP.join(";") });

/** Interactive API documentation: Swagger UI, served from its package, so it works offline. */
export const docsPage = html(`<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>moleculer-commerce API</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="stylesheet" href="/docs/swagger-ui.css">
<link rel="icon" href="data:,"></head>
<body><div id="page"></div>
<script src="/docs/swagger-ui-bundle.js"></script>
<script src="/docs/page.js"></script>
</body></html>
`);

/** Script of the page. After a sign-in, further requests use the received access token. */
const PAGE = `const ui = SwaggerUIBundle({
	url: "/openapi.json",
	dom_id: "#page",
	deepLinking: true,
	tryItOutEnabled: true,
	validatorUrl: null,
	responseInterceptor(response) {
		if (response.ok && /\\/api\\/(users\\/login|auth\\/refresh)$/.test(response.url))
			ui.preauthorizeApiKey("bearerAuth", JSON.parse(response.text).access_token);
		return response;
	},
});
`;

const folder = (): string =>
	dirname(createRequire(import.meta.url).resolve("swagger-ui-dist/package.json"));
const SCRIPT = "text/javascript; charset=utf-8";
const CACHED = { "Cache-Control": "public, max-age=86400" };
const asset = (file: string, type: string) =>
	loadOnce(async () => document(await readFile(join(folder(), file), "utf8"), type, CACHED));
const script = document(PAGE, SCRIPT, CACHED);

/** Assets of the page, by route. */
export const docsAssets: Readonly<Record<string, () => Promise<Document>>> = {
	"GET /docs/page.js": async () => script,
	"GET /docs/swagger-ui-bundle.js": asset("swagger-ui-bundle.js", SCRIPT),
	"GET /docs/swagger-ui.css": asset("swagger-ui.css", "text/css; charset=utf-8"),
};

/** Creates the error reference. The `type` of a problem refers to the section of its code. */
export function errorsPage(errors: ErrorCatalogue): Document {
	const sections = Object.entries(errors)
		.sort(([a], [b]) => (a < b ? -1 : 1))
		.map(([code, { status, message }]) => {
			const text = `${status} ${titleOf(code)}: ${escapeHtml(message)}`;
			return `<section id="${code}"><h2>${code}</h2><p>${text}</p></section>`;
		});
	return html(`<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Error codes</title>
<link rel="icon" href="data:,"></head>
<body><h1>Error codes</h1>
${sections.join("\n")}
</body></html>
`);
}
