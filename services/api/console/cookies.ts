import { parseCookie, stringifySetCookie } from "cookie";
import { commonError } from "../../../lib/contracts/errors.ts";
import type { Gateway, Request } from "../http/exchange.ts";

const ACCESS = "console_access";
const REFRESH = "console_refresh";
const SESSION_PATH = "/console/session";
/** Methods that change nothing (RFC 9110, 9.2.1). */
const SAFE: ReadonlySet<string> = new Set(["GET", "HEAD", "OPTIONS"]);

/** Tokens of a session, as the auth service returns them. */
export interface Tokens {
	readonly access_token: string;
	readonly refresh_token: string;
	/** Lifetime of the access token in seconds. */
	readonly expires_in: number;
}

/**
 * Set-Cookie headers of a session. The path of each cookie limits it to the requests that need it:
 * the access token to the API, the refresh token to the routes of the session. These also receive a
 * copy of the access token, to return its user. Without Max-Age, the refresh token ends with the
 * browser's session.
 */
export function sessionCookies(gateway: Gateway, req: Request, tokens: Tokens): string[] {
	const { access_token, refresh_token, expires_in } = tokens;
	const secure = isHttps(gateway, req);
	return [
		cookie(ACCESS, access_token, "/api", secure, expires_in),
		cookie(ACCESS, access_token, SESSION_PATH, secure, expires_in),
		cookie(REFRESH, refresh_token, SESSION_PATH, secure),
	];
}

/** Set-Cookie headers that delete the cookies. */
export const clearedCookies = (gateway: Gateway, req: Request): string[] => {
	const secure = isHttps(gateway, req);
	return [
		cookie(ACCESS, "", "/api", secure, 0),
		cookie(ACCESS, "", SESSION_PATH, secure, 0),
		cookie(REFRESH, "", SESSION_PATH, secure, 0),
	];
};

/** Returns the refresh token of a request. */
export const refreshTokenOf = ({ headers: { cookie: header = "" } }: Request): string | undefined =>
	parseCookie(header)[REFRESH] || undefined;

/**
 * Returns the access token in the console's cookie as an Authorization header, or undefined without
 * one.
 * @throws FORBIDDEN for a change that a page of another origin may have sent
 */
export function cookieAuthorization(gateway: Gateway, req: Request): string | undefined {
	const token = parseCookie(req.headers.cookie ?? "")[ACCESS];
	if (!token) return undefined;
	if (!SAFE.has(req.method!)) assertFromConsole(gateway, req);
	return `Bearer ${token}`;
}

/**
 * Checks that the console sent a request. A page of another origin can send the header only after a
 * preflight request, and the gateway's response does not permit it (docs/adr/0038).
 * @throws FORBIDDEN
 */
export function assertFromConsole(gateway: Gateway, { headers }: Request): void {
	const { origin } = headers;
	const isOwn = origin === undefined || hostOf(origin) === ownHost(gateway, headers);
	if (headers["console-request"] === "1" && isOwn) return;
	throw commonError(
		"FORBIDDEN",
		undefined,
		"A change with the console's cookie requires the header Console-Request: 1 " +
			"and an Origin of this host",
	);
}

/** @param maxAge in seconds */
const cookie = (name: string, value: string, path: string, secure: boolean, maxAge?: number) =>
	stringifySetCookie({
		name,
		value,
		path,
		secure,
		httpOnly: true,
		sameSite: "strict",
		...(maxAge === undefined ? {} : { maxAge }),
	});

const hostOf = (origin: string): string | undefined =>
	URL.canParse(origin) ? new URL(origin).host : undefined;

/** Our own proxies may replace Host; without them the client controls X-Forwarded-Host. */
function ownHost(
	{ proxies }: Gateway,
	{ host, ...headers }: Request["headers"],
): string | undefined {
	return (proxies > 0 && lastOf(headers["x-forwarded-host"])) || host?.toLowerCase();
}

/** The gateway itself speaks HTTP. A client can only change the attribute of its own cookies. */
const isHttps = ({ proxies }: Gateway, { headers }: Request): boolean =>
	proxies > 0 && lastOf(headers["x-forwarded-proto"]) === "https";

/** Returns the value that the last proxy set. */
const lastOf = (header: string | string[] | undefined): string | undefined =>
	header?.toString().split(",").at(-1)?.trim().toLowerCase();
