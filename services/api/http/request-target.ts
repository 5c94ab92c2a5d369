import type { IncomingMessage } from "node:http";
import { commonError } from "../../../lib/contracts/errors.ts";

const ABSOLUTE = /^https?:\/\/([^/?#]*)/i;
/**
 * host [":" port] (RFC 9110, 7.2): a name, an IPv4 address or an IPv6 address in brackets, without
 * user information.
 */
const AUTHORITY = /^(?:[\w.~!$&'()*+,;=%-]+|\[[\da-f:.]+\])(?::\d*)?$/i;

/**
 * Path and query of a request target. A server must also accept the absolute form ("GET
 * http://shop/health", as sent to proxies; RFC 9112, 3.2.2).
 */
export function originForm(target: string): string {
	const absolute = target.startsWith("/") ? null : ABSOLUTE.exec(target);
	if (!absolute) return target;
	const rest = target.slice(absolute[0].length);
	return rest.startsWith("/") ? rest : `/${rest}`;
}

/**
 * Returns the path of a request without its query. Reduces an absolute-form target to its path and
 * query.
 * @throws BAD_HEADER for more than one Host and for an invalid host (RFC 9112, 3.2), which two
 * servers could interpret differently
 */
export function readTarget(req: IncomingMessage & { originalUrl: string }): string {
	assertHost(req);
	const { url = "" } = req;
	const absolute = url.startsWith("/") ? null : ABSOLUTE.exec(url);
	if (absolute) {
		assertAuthority(absolute[1]!);
		req.url = originForm(url);
		req.originalUrl = req.url;
	}
	return req.url!.split("?", 1)[0]!;
}

/**
 * Checks the raw headers, which alternate between names and values: `headers` contains only the
 * first of several Host headers.
 */
function assertHost({ rawHeaders }: IncomingMessage): void {
	let host: string | undefined;
	for (let i = 0; i < rawHeaders.length; i += 2) {
		const name = rawHeaders[i]!;
		if (name.length !== 4 || name.toLowerCase() !== "host") continue;
		if (host !== undefined)
			throw commonError("BAD_HEADER", undefined, "A request must have exactly one Host header");
		host = rawHeaders[i + 1]!;
	}
	// A client without an authority sends an empty Host.
	if (host) assertAuthority(host);
}

function assertAuthority(host: string): void {
	if (!AUTHORITY.test(host))
		throw commonError(
			"BAD_HEADER",
			undefined,
			"The host is not a name or address with an optional port",
		);
}
