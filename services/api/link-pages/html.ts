import { createHash } from "node:crypto";
import { escapeHtml } from "../../../lib/text/html.ts";
import {
	type Gateway,
	type Handler,
	type HttpResponse,
	type Request,
	sendResponse,
} from "../http/exchange.ts";

/** A token in a mailed link. */
export const TOKEN = /^[\w-]{1,200}$/;
export const INCOMPLETE_LINK = "This link is incomplete. Copy the complete link from the e-mail.";
const STYLE = `body{font:1.1rem/1.5 system-ui,sans-serif;margin:0;background:#f4f4f5;color:#18181b}
main{max-width:30rem;margin:10vh auto;padding:2rem;background:#fff;border-radius:.5rem}
h1{font-size:1.4rem;margin-top:0}label,input{display:block;width:100%;box-sizing:border-box}
input,button{font:inherit;padding:.6rem;margin:.3rem 0 1rem}
input,button{border:1px solid #71717a;border-radius:.3rem}
button{background:#18181b;color:#fff;cursor:pointer}[role=alert]{color:#b91c1c}`;
const HEADERS = {
	"Content-Security-Policy": [
		"default-src 'none'",
		`style-src 'sha256-${createHash("sha256").update(STYLE).digest("base64")}'`,
		"img-src data:",
		"form-action 'self'",
		"base-uri 'none'",
		"frame-ancestors 'none'",
	].join(";"),
	// The URL contains the token.
	"Referrer-Policy": "no-referrer",
	"Cache-Control": "no-store",
	"X-Robots-Tag": "noindex",
};

/** Creates a handler that responds with a page. */
export function handler(
	respond: (gateway: Gateway, req: Request) => Promise<HttpResponse>,
): Handler {
	return function (req, res, next) {
		respond(this, req)
			.then((found) => sendResponse(this, req, res, found))
			.catch(next);
	};
}

/** HTML of a message that screen readers announce at once. @param message plain text */
export const alertOf = (message: string): string => `<p role="alert">${escapeHtml(message)}</p>`;

/** A page without scripts and external resources. @param content HTML */
export const htmlPage = (
	status: number,
	title: string,
	content: string,
	headers: HttpResponse["headers"] = {},
): HttpResponse => ({
	status,
	type: "text/html; charset=utf-8",
	headers: { ...headers, ...HEADERS },
	body: `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>${title}</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="icon" href="data:,"><style>${STYLE}</style></head>
<body><main><h1>${title}</h1>
${content}
</main></body></html>
`,
});
