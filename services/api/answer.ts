import { etagOf, isTagList, namesTag } from "../../lib/etag.ts";
import type { Shape } from "../../lib/schema.ts";
import type { Streamed } from "../../lib/streams.ts";
import { type Answer, type Gateway, type Request, type Response, send } from "./exchange.ts";
import { queryOf } from "./parameters.ts";

/** Answers with what the action returned, in the shape that its contract gives it. */
export function answer(gateway: Gateway, req: Request, res: Response, result: unknown): void {
	if (req.$alias.contract?.stream) gateway.streams.open(req, res, result as Streamed);
	else send(gateway, req, res, shape(req, result));
}

function shape(req: Request, result: unknown): Answer {
	const { contract, collection } = req.$alias;
	const { $statusCode, $responseHeaders } = req.$ctx.meta;
	const status = $statusCode ?? contract?.status ?? 200;
	if (status === 204 || status === 304) return { status, headers: $responseHeaders };
	if (contract?.page) {
		const { rows, total } = result as { rows: unknown[]; total: number };
		const headers = { "X-Total-Count": String(total), ...links(req, contract.params, total, rows.length), ...$responseHeaders };
		return { status, headers, body: JSON.stringify(rows) };
	}
	const tag: { ETag?: string } = contract?.etag ? { ETag: etagOf(result as object) } : {};
	if (tag.ETag && isUnchanged(req, tag.ETag)) return { status: 304, headers: { ...tag, ...$responseHeaders } };
	const { id } = (result ?? {}) as { id?: unknown };
	const created = status === 201 && collection && typeof id === "string";
	const headers = { ...(created ? { Location: `${req.parsedUrl}/${id}` } : {}), ...tag, ...$responseHeaders };
	return { status, headers, body: JSON.stringify(result ?? null) };
}

/** Whether the client has this already. A header that is none of the kind does no harm: it gets the whole answer. */
function isUnchanged({ method, headers: { "if-none-match": known } }: Request, etag: string): boolean {
	return (method === "GET" || method === "HEAD") && known !== undefined && isTagList(known) && namesTag(known, etag, "weak");
}

/** The neighbouring pages (RFC 8288), with everything else of the query kept. Nothing comes behind a page that is not full. */
function links(req: Request, params: Shape, total: number, shown: number): { Link?: string } {
	const query = queryOf(req);
	const given = (name: "skip" | "limit") => Number(query.get(name) ?? (params[name] as { default: number }).default);
	const [skip, limit] = [given("skip"), given("limit")];
	const link = (rel: string, to: number) => {
		query.set("skip", String(to));
		query.set("limit", String(limit));
		return `<${req.parsedUrl}?${query}>; rel="${rel}"`;
	};
	const all = [
		...(shown === limit && skip + limit < total ? [link("next", skip + limit)] : []),
		...(skip > 0 ? [link("prev", Math.max(0, skip - limit))] : []),
	];
	return all.length > 0 ? { Link: all.join(", ") } : {};
}
