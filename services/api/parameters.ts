import { invalidField } from "../../lib/errors.ts";
import { assertKey, assertText, readBody } from "./body.ts";
import type { Request } from "./exchange.ts";

const WITHOUT_BODY = new Set(["GET", "HEAD", "DELETE"]);

/**
 * The parameters of the action: those in the path, and the query's or the body's, never both.
 * @param path those in the path, by name
 */
export async function readParameters(req: Request, path: Record<string, string>): Promise<Record<string, unknown>> {
	const params = WITHOUT_BODY.has(req.method!) ? readQuery(queryOf(req)) : await readBody(req);
	for (const [field, value] of Object.entries(path)) {
		if (Object.hasOwn(params, field)) throw invalidField(field, "PATH_PARAMETER", `The '${field}' field stands in the path already`);
		assertText(value, field);
		params[field] = value;
	}
	return params;
}

export function queryOf({ url = "" }: Request): URLSearchParams {
	const start = url.indexOf("?");
	return new URLSearchParams(start < 0 ? "" : url.slice(start + 1));
}

/** A key that comes twice gives a list, which no query parameter's rule takes. */
function readQuery(query: URLSearchParams): Record<string, unknown> {
	const params: Record<string, unknown> = {};
	for (const [key, value] of query) {
		assertKey(key);
		assertText(value, key);
		const before = params[key];
		if (!Object.hasOwn(params, key)) params[key] = value;
		else if (Array.isArray(before)) before.push(value);
		else params[key] = [before, value];
	}
	return params;
}
