import { invalidField } from "../../../lib/contracts/errors.ts";
import { RAW_BODY_BYTES, type Shape } from "../../../lib/contracts/schema.ts";
import { assertKey, assertText, readBody, readRawBody } from "./body.ts";
import type { Request } from "./exchange.ts";

const WITHOUT_BODY = new Set(["GET", "HEAD", "DELETE"]);

/**
 * Reads an action's parameters from the path and from either the query or the body.
 * @param path parameters in the path, by name
 */
export async function readParameters(
	req: Request,
	path: Record<string, string>,
): Promise<Record<string, unknown>> {
	const params = await readQueryOrBody(req);
	for (const [field, value] of Object.entries(path)) {
		if (Object.hasOwn(params, field))
			throw invalidField(field, "PATH_PARAMETER", `The '${field}' field is already in the path`);
		assertText(value, field);
		params[field] = value;
	}
	return params;
}

async function readQueryOrBody(req: Request): Promise<Record<string, unknown>> {
	if (WITHOUT_BODY.has(req.method!)) return readQuery(queryOf(req), req.$alias.contract?.params);
	const { rawBody, bodyList } = req.$alias.contract ?? {};
	if (!rawBody) return readBody(req, bodyList);
	const body = await readRawBody(req, RAW_BODY_BYTES);
	return { body: body.toString("base64"), headers: headersOf(req) };
}

/** Credentials for the gateway itself, which no action receives. */
const CREDENTIALS = new Set(["authorization", "cookie"]);
const headersOf = ({ headers }: Request) =>
	Object.entries(headers).flatMap(([name, value]) =>
		typeof value === "string" && !CREDENTIALS.has(name) ? [{ name, value }] : [],
	);

/** Parameters of advertising and mailing tools, and `_`, which jQuery appends to bypass caches. */
const TRACKING =
	/^(?:utm_\w+|_|_ga|_gl|dclid|fbclid|gbraid|gclid|gclsrc|igshid|li_fat_id|mc_cid|mc_eid|msclkid|srsltid|ttclid|twclid|wbraid|yclid)$/;
/** Query that may contain ignored parameters: blank values, or names with a tracking prefix. */
const IGNORABLE =
	/[?&](?:[^=&?]*(?:=(?:\+|%20)*)?(?:&|$)|utm_|_|dclid|fbclid|g|igshid|li_|mc_|msclkid|srsltid|t[tw]clid|wbraid|yclid)/;

/**
 * Removes tracking and blank parameters from the path and query of a public read: shared links
 * contain the former, HTML forms submit the latter. All other unknown parameters remain errors, so
 * a misspelled filter does not list everything.
 */
export function withoutIgnored(url: string): string {
	const start = url.indexOf("?");
	if (start < 0 || !IGNORABLE.test(url)) return url;
	// The parts are not re-encoded, so the rest of the query has the same key in the response cache.
	const relevant = url
		.slice(start + 1)
		.split("&")
		.filter((part) =>
			[...new URLSearchParams(part)].some(
				([name, value]) => value.trim() !== "" && !TRACKING.test(name),
			),
		);
	const path = url.slice(0, start);
	return relevant.length > 0 ? `${path}?${relevant.join("&")}` : path;
}

/** Parameters of the query of a request; empty without a query. */
export function queryOf({ url = "" }: Request): URLSearchParams {
	const start = url.indexOf("?");
	return new URLSearchParams(start < 0 ? "" : url.slice(start + 1));
}

/**
 * Reads the query. A repeated key becomes a list, which the rule of every other parameter rejects.
 * `NAME.KEY` adds a value to the list of KEY in the record parameter NAME.
 */
function readQuery(query: URLSearchParams, rules: Shape = {}): Record<string, unknown> {
	const params: Record<string, unknown> = {};
	const records: Record<string, Record<string, unknown>> = {};
	for (const [key, value] of query) {
		assertKey(key);
		assertText(value, key);
		const dot = key.indexOf(".");
		const name = key.slice(0, Math.max(dot, 0));
		if (Object.hasOwn(rules, name) && rules[name]!.type === "record") {
			// Without a prototype, so that each key can be set.
			records[name] ??= Object.create(null) as Record<string, unknown>;
			addValue(records[name], key.slice(dot + 1), [value]);
		} else addValue(params, key, value);
	}
	// A value of the name itself violates the rule of a record.
	return { ...records, ...params };
}

/** Sets a key, or adds a value to the list of a repeated key. */
function addValue(params: Record<string, unknown>, key: string, value: string | [string]): void {
	const before = params[key];
	if (!Object.hasOwn(params, key)) params[key] = value;
	else if (Array.isArray(before)) before.push(typeof value === "string" ? value : value[0]);
	else params[key] = [before, value];
}
