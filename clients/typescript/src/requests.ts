import type { AnyOptions } from "./options.ts";
import type { Route } from "./route.ts";

export type Params = Readonly<Record<string, unknown>>;
export type Body = NonNullable<RequestInit["body"]>;
/** Request to an action, before the headers of the session are added. */
export interface ApiRequest {
	readonly method: string;
	/** Path below /api, with the query. */
	readonly path: string;
	readonly headers: Readonly<Record<string, string>>;
	readonly body?: Body;
}

/** Methods whose parameters are in the query. */
const WITHOUT_BODY = new Set(["GET", "DELETE"]);

/**
 * Creates the request of an action.
 * @throws TypeError if a parameter of the path is missing, or a header has an invalid value
 */
export function toRequest(route: Route, params: Params, options: AnyOptions): ApiRequest {
	const [method, template] = route.rest.split(" ") as [string, string];
	const rest = new Map(Object.entries(params).filter(([, value]) => value !== undefined));
	const path = template.replace(/:(\w+)/g, (_, name: string) => {
		const value = rest.get(name);
		rest.delete(name);
		return segment(name, value);
	});
	const headers = headersOf(route, options);
	// Validated here, because `fetch` reports an invalid header like a lost connection.
	new Headers(headers);
	if (WITHOUT_BODY.has(method) || rest.size === 0) {
		const query = queryOf(rest);
		return { method, path: query ? `${path}?${query}` : path, headers };
	}
	const body = route.bodyList ? rest.get(route.bodyList) : Object.fromEntries(rest);
	return {
		method,
		path,
		headers: { "content-type": "application/json", ...headers },
		body: JSON.stringify(body),
	};
}

/** @throws TypeError for a value that would change the path */
function segment(name: string, value: unknown): string {
	const text = typeof value === "string" || typeof value === "number" ? String(value) : "";
	if (text === "" || text === "." || text === "..")
		throw new TypeError(`The parameter '${name}' is part of the path and must not be empty`);
	return encodeURIComponent(text);
}

/** Lists become repeated keys, and records NAME.KEY. */
function queryOf(params: ReadonlyMap<string, unknown>): URLSearchParams | "" {
	const query = new URLSearchParams();
	const add = (name: string, value: unknown): void => {
		if (Array.isArray(value)) for (const one of value) add(name, one);
		else if (typeof value === "object" && value !== null)
			for (const [key, one] of Object.entries(value)) add(`${name}.${key}`, one);
		else if (value !== undefined && value !== null) query.append(name, String(value));
	};
	for (const [name, value] of params) add(name, value);
	return query.size > 0 ? query : "";
}

function headersOf({ idempotent, token }: Route, options: AnyOptions): Record<string, string> {
	const secret = token && secretOf(token, options);
	return {
		...(idempotent ? { "idempotency-key": options.idempotencyKey ?? randomKey() } : {}),
		...(secret ? { [token]: secret } : {}),
		...(options.ifMatch ? { "if-match": options.ifMatch } : {}),
		...(options.respondAsync ? { prefer: "respond-async" } : {}),
		...options.headers,
	};
}

/** Secret for a header: `cartToken` for Cart-Token. */
function secretOf(header: string, options: AnyOptions): string | undefined {
	const name = header.charAt(0).toLowerCase() + header.slice(1).replaceAll("-", "");
	return options[name as "cartToken" | "orderToken"];
}

/** 128 random bits. `crypto.randomUUID` exists only on pages that were loaded by https. */
function randomKey(): string {
	const bytes = crypto.getRandomValues(new Uint8Array(16));
	return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
