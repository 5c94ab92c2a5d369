import { StartError } from "../../../lib/process/start-error.ts";

const EXPOSED =
	"Content-Disposition, ETag, Idempotent-Replayed, Link, Location, Preference-Applied, " +
	"RateLimit, RateLimit-Policy, Retry-After, WWW-Authenticate, X-Process-Time, X-Request-ID, " +
	"X-Search-Corrected, X-Total-Count";
const ACCEPTED =
	"Authorization, Content-Type, Idempotency-Key, If-Match, If-None-Match, Last-Event-ID, " +
	"Prefer, Traceparent, X-Request-ID";

export interface Cors {
	/**
	 * Headers for every response. Without them a browser also hides errors from an allowed origin.
	 */
	headers(origin: string | undefined): Record<string, string>;
	/**
	 * Headers for the response to a preflight request.
	 * @param secrets names of headers with secrets, see `token` of an action
	 */
	preflight(
		origin: string | undefined,
		methods: readonly string[],
		secrets: readonly string[],
	): Record<string, string>;
}

/**
 * Creates the CORS headers for a comma-separated list of origins
 * (https://fetch.spec.whatwg.org/#http-cors-protocol). Credentials are not allowed, because pages
 * send the token in a header.
 * @throws StartError for an invalid origin, such as `*`
 */
export function cors(setting: string): Cors {
	const origins = setting.split(",").flatMap((origin) => origin.trim() || []);
	for (const origin of origins) {
		if (!URL.canParse(origin) || new URL(origin).origin !== origin) {
			throw new StartError(
				`CORS_ORIGINS: "${origin}" is not an origin; example: https://shop.example.com`,
			);
		}
	}
	const allowed = new Map(
		origins.map((origin) => [
			origin,
			{
				Vary: "Origin",
				"Access-Control-Allow-Origin": origin,
				"Access-Control-Expose-Headers": EXPOSED,
			},
		]),
	);
	const others: Record<string, string> = origins.length > 0 ? { Vary: "Origin" } : {};
	return {
		headers: (origin = "") => allowed.get(origin) ?? others,
		preflight: (origin = "", methods, secrets): Record<string, string> =>
			allowed.has(origin)
				? {
						"Access-Control-Allow-Methods": methods.join(", "),
						"Access-Control-Allow-Headers": [ACCEPTED, ...secrets].join(", "),
						"Access-Control-Max-Age": "600",
					}
				: {},
	};
}
