import type { Context } from "moleculer";
import {
	type Gateway,
	type Handler,
	type HttpResponse,
	type Request,
	type Response,
	sendResponse,
} from "../http/exchange.ts";
import { identify, permit } from "../security/access.ts";

/**
 * The message may have any content. In its own origin it can run no script, send no form and load
 * nothing, but may have inline styles, which the policy of the console forbids. A frame without an
 * address of its own (`srcdoc`, `blob:`) would inherit that policy. Links open another tab.
 */
const HEADERS = {
	"Content-Security-Policy": [
		"sandbox allow-popups allow-popups-to-escape-sandbox",
		"default-src 'none'",
		"style-src 'unsafe-inline'",
		"img-src data:",
		"form-action 'none'",
		"base-uri 'none'",
		"frame-ancestors 'self'",
	].join(";"),
	"Cache-Control": "no-store",
	"X-Robots-Tag": "noindex",
};

/** HTML of a message as a page, for a frame of the console, whose cookie is sent to /api. */
export const messageFrame: Readonly<Record<string, Handler>> = {
	"GET /api/notifications/:id/html": function (req, res, next) {
		show(this, req, res)
			.then((response) => sendResponse(this, req, res, response))
			.catch(next);
	},
};

/** @throws the errors of `GET /notifications/:id` */
async function show(gateway: Gateway, req: Request, res: Response): Promise<HttpResponse> {
	const { id } = gateway.table.find("GET", req.parsedUrl).params;
	const path = `/api/notifications/${encodeURIComponent(id!)}`;
	const { target, params } = gateway.table.find("GET", path);
	identify(req, res, target);
	permit(req.$ctx, req, target);
	// Invalid parameters of this action are the client's error.
	req.$alias = { ...req.$alias, action: target.action! };
	const { html } = await (req.$ctx as unknown as Context).call<{ html: string }, object>(
		target.action!,
		params,
	);
	return {
		status: 200,
		type: "text/html; charset=utf-8",
		headers: HEADERS,
		body: html.replace(/<head(\s[^<>]*)?>/i, '$&<base target="_blank">'),
	};
}
