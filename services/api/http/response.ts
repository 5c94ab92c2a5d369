import type { Context } from "moleculer";
import { commonError } from "../../../lib/contracts/errors.ts";
import { etagOf, isEntityTagList, matchesEtag } from "../../../lib/contracts/etag.ts";
import type { EventStreamPage } from "../../../lib/contracts/event-stream.ts";
import type { Shape } from "../../../lib/contracts/schema.ts";
import { parentOf, serviceOf } from "../routing/routes.ts";
import {
	type Gateway,
	type HttpResponse,
	type Request,
	type Response,
	sendResponse,
} from "./exchange.ts";
import { queryOf, readParameters, withoutIgnored } from "./parameters.ts";
import { fieldErrors, toProblem } from "./problem-details.ts";

/** Responds with the result of the request's action, or with a cached response. */
export async function respond(gateway: Gateway, req: Request, res: Response): Promise<void> {
	const { contract } = req.$alias;
	if (contract?.auth === "anyone" && contract.rest.startsWith("GET ")) {
		req.originalUrl = withoutIgnored(req.originalUrl);
		req.url = req.originalUrl;
	}
	if (contract?.upload) await gateway.uploads.serve(req, res);
	else if (contract?.download) await gateway.downloads.serve(req, res);
	else if (contract?.stream)
		await gateway.eventStreams.serve(req, res, async () => (await call(req)) as EventStreamPage);
	else
		deliver(
			gateway,
			req,
			res,
			contract?.responseCache
				? await cached(gateway, req, contract.name, contract.responseCache)
				: shape(req, await call(req)),
		);
}

/** Returns the cached response. A hit needs no parameters: storing it has validated them. */
function cached(
	{ responseCache, table }: Gateway,
	req: Request,
	action: string,
	{ ttl }: { ttl: number },
): Promise<HttpResponse> {
	// Path and query contain all parameters of a GET. With other routes they may mean another action.
	const key = `${table.revision} ${req.originalUrl}`;
	return responseCache.get(serviceOf(action), key, ttl, async () => {
		const { body, ...head } = shape(req, await call(req));
		return body === undefined ? head : { ...head, body: bytesOf(body as string) };
	});
}

async function call(req: Request): Promise<unknown> {
	const { $ctx, $endpoint, $alias, headers } = req;
	req.$params = await readParameters(req, req.$params.params as Record<string, string>);
	const send = () => ($ctx as Context).call($endpoint as never, req.$params);
	const { "last-event-id": last } = headers;
	if (!$alias.contract!.stream || !last) return send();
	req.$params.after = last;
	return send().catch((error) => {
		const isInvalid = fieldErrors(toProblem(error, $alias.action)).some(
			({ field }) => field === "after",
		);
		throw isInvalid ? badPosition() : error;
	});
}
const badPosition = () =>
	commonError("BAD_HEADER", undefined, "Last-Event-ID takes the ID of an event of this stream");

function shape(req: Request, result: unknown): HttpResponse {
	const { contract } = req.$alias;
	const { $statusCode, $responseHeaders, respond_async } = req.$ctx.meta;
	const status = $statusCode ?? contract?.status ?? 200;
	if (status === 204 || status === 304) return { status, headers: $responseHeaders };
	if (contract?.page) {
		const page = result as Page;
		const headers = {
			"X-Total-Count": String(page.total),
			// Words can have letters that a header cannot contain.
			...(page.corrected ? { "X-Search-Corrected": encodeURI(page.corrected) } : {}),
			...links(req, contract.params, page),
			...$responseHeaders,
		};
		return { status, headers, body: JSON.stringify(page.rows) };
	}
	const headers = {
		...location(req, status, result),
		...(status === 202 && respond_async ? { "Preference-Applied": "respond-async" } : {}),
		...(contract?.etag === true && !$responseHeaders?.ETag
			? { ETag: etagOf(result as object) }
			: {}),
		// A list without pages is complete.
		...(contract?.rest.startsWith("GET ") && Array.isArray(result)
			? { "X-Total-Count": String(result.length) }
			: {}),
		...$responseHeaders,
	};
	return { status, headers, body: JSON.stringify(result ?? null) };
}

/** Location of the created resource, or of the one that shows the progress (RFC 9110, 15.3.3). */
function location(
	{ $alias: { collection, onResource }, parsedUrl }: Request,
	status: number,
	result: unknown,
): { Location?: string } {
	if (status !== 201 && status !== 202) return {};
	const { id } = (result ?? {}) as { id?: unknown };
	if (collection && typeof id === "string") return { Location: `${parsedUrl}/${id}` };
	return status === 202 && onResource ? { Location: parentOf(parsedUrl) } : {};
}

/** Sends a response, or 304 if the client has it. */
function deliver(gateway: Gateway, req: Request, res: Response, response: HttpResponse): void {
	const { headers } = response;
	sendResponse(
		gateway,
		req,
		res,
		headers?.ETag && isUnchanged(req, headers.ETag) ? { status: 304, headers } : response,
	);
}

/** Returns whether the client has this version. A malformed If-None-Match is ignored. */
export function isUnchanged(
	{ method, headers: { "if-none-match": known } }: Request,
	etag: string,
): boolean {
	return (
		(method === "GET" || method === "HEAD") &&
		known !== undefined &&
		isEntityTagList(known) &&
		matchesEtag(known, etag, "weak")
	);
}

interface Page {
	readonly rows: readonly { readonly id?: string }[];
	readonly total: number;
	readonly more?: boolean;
	readonly corrected?: string;
}

/**
 * Links to the next and previous page (RFC 8288) with the rest of the query. A keyset page
 * (`after`) is followed by the page after its last row; its `skip` is not its position in the list.
 */
function links(req: Request, params: Shape, { rows, total, more }: Page): { Link?: string } {
	const query = queryOf(req);
	const given = (name: "skip" | "limit") =>
		Number(query.get(name) ?? (params[name] as { default: number }).default);
	const [skip, limit] = [given("skip"), given("limit")];
	const link = (rel: string, change: Record<string, string>) => {
		const target = new URLSearchParams(query);
		for (const [name, value] of Object.entries({ ...change, limit: String(limit) }))
			target.set(name, value);
		if (change.after) target.delete("skip");
		return `<${req.parsedUrl}?${target}>; rel="${rel}"`;
	};
	const last = query.has("after") ? rows.at(-1)?.id : undefined;
	const next: Record<string, string> = last ? { after: last } : { skip: String(skip + limit) };
	const all = [
		...((more ?? (rows.length === limit && skip + limit < total)) ? [link("next", next)] : []),
		...(skip > 0 ? [link("prev", { skip: String(Math.max(0, skip - limit)) })] : []),
	];
	return all.length > 0 ? { Link: all.join(", ") } : {};
}

/** Encodes a text in its own memory: a pooled buffer would keep the whole pool alive. */
function bytesOf(text: string): Buffer {
	const bytes = Buffer.allocUnsafeSlow(Buffer.byteLength(text));
	bytes.write(text);
	return bytes;
}

/** Estimates the memory of a response in bytes: body, headers and about 1 kB of objects. */
export function sizeOf({ headers = {}, body = "" }: HttpResponse): number {
	const texts = Object.values(headers).reduce((sum, text) => sum + 2 * text.length, 0);
	return Buffer.byteLength(body) + texts + 1000;
}
