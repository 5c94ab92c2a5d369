import { invalidField } from "../../../lib/contracts/errors.ts";
import { assertKey, assertText, readBody } from "./body.ts";
import type { Request } from "./exchange.ts";

const WITHOUT_BODY = new Set(["GET", "HEAD", "DELETE"]);

/**
 * The parameters of the action: those in the path, and the query's or the body's, never both.
 * @param path those in the path, by name
 */
export async function readParameters(
	req: Request,
	path: Record<string, string>,
): Promise<Record<string, unknown>> {
	const params = WITHOUT_BODY.has(req.method!) ? readQuery(queryOf(req)) : await readBody(req);
	for (const [field, value] of Object.entries(path)) {
		if (Object.hasOwn(params, field))
			throw invalidField(
				field,
				"PATH_PARAMETER",
				`The '${field}' field stands in the path already`,
			);
		assertText(value, field);
		params[field] = value;
	}
	return params;
}

/** Parameters that advertising and mailing tools append to links, and `_`, which jQuery appends against caches. */
const TRACKING =
	/^(?:utm_\w+|_|_ga|_gl|dclid|fbclid|gbraid|gclid|gclsrc|igshid|li_fat_id|mc_cid|mc_eid|msclkid|srsltid|ttclid|twclid|wbraid|yclid)$/;
/** A query that may have something to leave out: a blank value, or a name that begins like one of those. */
const IGNORABLE =
	/[?&](?:[^=&?]*(?:=(?:\+|%20)*)?(?:&|$)|utm_|_|dclid|fbclid|g|igshid|li_|mc_|msclkid|srsltid|t[tw]clid|wbraid|yclid)/;

/**
 * The path and query of a public read, without tracking parameters and blank ones: links that are shared contain the former, HTML forms
 * submit the latter. All other unknown parameters stay errors, so that a misspelled filter does not list everything.
 */
export function withoutIgnored(url: string): string {
	const start = url.indexOf("?");
	if (start < 0 || !IGNORABLE.test(url)) return url;
	// The parts stay as they are written, so that the rest of the query leads to the same entry of the response cache.
	const kept = url
		.slice(start + 1)
		.split("&")
		.filter((part) =>
			[...new URLSearchParams(part)].some(
				([name, value]) => value.trim() !== "" && !TRACKING.test(name),
			),
		);
	const path = url.slice(0, start);
	return kept.length > 0 ? `${path}?${kept.join("&")}` : path;
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
