import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { commonError, RETRY_AFTER_SECONDS } from "../../../lib/contracts/errors.ts";
import {
	bestEncoding,
	document,
	documentResponse,
	type Encoding,
} from "../documentation/documents.ts";
import type { Handler, HttpResponse, Request } from "../http/exchange.ts";
import { handler, htmlPage } from "../link-pages/html.ts";

/** Written by `npm run console`. */
export const dist = join(import.meta.dirname, "../../../console/dist");
/** Allows only resources of this origin, and images of products from other origins over https. */
const CSP = [
	"default-src 'none'",
	"script-src 'self'",
	"style-src 'self'",
	"img-src 'self' data: https:",
	"connect-src 'self'",
	"frame-src 'self'",
	"form-action 'self'",
	"base-uri 'none'",
	"frame-ancestors 'none'",
].join(";");
const HEADERS = { "Content-Security-Policy": CSP, "X-Robots-Tag": "noindex" };
const TYPES = { js: "text/javascript; charset=utf-8", css: "text/css; charset=utf-8" };
const ASSET = /^([\w-]+\.(js|css))$/;
const EXTENSIONS: Readonly<Record<Encoding, string>> = { br: ".br", gzip: ".gz", identity: "" };
const NOT_BUILT =
	'<p role="alert">The console is not built. ' +
	"Run <code>npm run console</code>, then reload this page.</p>";

/**
 * Pages and files of the admin console. All pages have the same HTML; the script shows the page of
 * the path. Files are read for each request, so that the console can be built while the shop runs.
 */
export const consolePages: Readonly<Record<string, Handler>> = {
	...Object.fromEntries(
		["/console", "/console/:section", "/console/:section/:id", "/console/:section/:id/:part"].map(
			(path) => [`GET ${path}`, handler((_, req) => page(req, dist))],
		),
	),
	"GET /console/assets/:file": handler((_, req) => asset(req, dist)),
};

/** The page of every path, or the next step if it is not built. @param folder of the build */
export async function page(req: Request, folder: string): Promise<HttpResponse> {
	const html = await read(join(folder, "index.html"));
	return html
		? documentResponse(req, document(html.toString(), "text/html; charset=utf-8", HEADERS))
		: htmlPage(503, "Admin console", NOT_BUILT, { "Retry-After": String(RETRY_AFTER_SECONDS) });
}

/** Responds with a file that was compressed when it was built. Its name contains its hash. */
async function asset(req: Request, folder: string): Promise<HttpResponse> {
	const [, file, extension] = ASSET.exec(req.parsedUrl.split("/").at(-1)!) ?? [];
	if (!file) throw commonError("ROUTE_NOT_FOUND");
	const encoding = bestEncoding(req);
	const body = await read(join(folder, "assets", file + EXTENSIONS[encoding]));
	if (!body) throw commonError("ROUTE_NOT_FOUND");
	return {
		status: 200,
		type: TYPES[extension as keyof typeof TYPES],
		headers: {
			"Cache-Control": "public, max-age=31536000, immutable",
			ETag: `"${file}-${encoding}"`,
			Vary: "Accept-Encoding, Origin",
			...(encoding === "identity" ? {} : { "Content-Encoding": encoding }),
		},
		body,
	};
}

/** Returns the content of a file, or undefined if it does not exist. */
const read = (file: string): Promise<Buffer | undefined> =>
	readFile(file).catch((error: NodeJS.ErrnoException) => {
		if (error.code === "ENOENT") return undefined;
		throw error;
	});
