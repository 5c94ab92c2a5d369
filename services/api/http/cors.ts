import { StartError } from "../../../lib/process/start-error.ts";

const EXPOSED =
	"ETag, Idempotent-Replayed, Link, Location, Preference-Applied, RateLimit, RateLimit-Policy, Retry-After, WWW-Authenticate, X-Process-Time, X-Request-ID, X-Total-Count";
const ACCEPTED =
	"Authorization, Content-Type, Idempotency-Key, If-Match, If-None-Match, Last-Event-ID, Prefer, Traceparent, X-Request-ID";

export interface Cors {
	/** For every answer, or a browser would hide even errors from a page that may see them. */
	headers(origin: string | undefined): Record<string, string>;
	/** For the answer to a preflight request. */
	preflight(origin: string | undefined, methods: readonly string[]): Record<string, string>;
}

/**
 * Cross-origin access for the listed origins (https://fetch.spec.whatwg.org/#http-cors-protocol). Without credentials: tokens travel in a header
 * that the page sets itself.
 * @throws StartError for what is not an origin, `*` for instance
 */
export function cors(setting: string): Cors {
	const origins = setting.split(",").flatMap((origin) => origin.trim() || []);
	for (const origin of origins) {
		if (!URL.canParse(origin) || new URL(origin).origin !== origin) {
			throw new StartError(
				`CORS_ORIGINS: "${origin}" is not an origin; one looks like https://shop.example.com`,
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
		preflight: (origin = "", methods): Record<string, string> =>
			allowed.has(origin)
				? {
						"Access-Control-Allow-Methods": methods.join(", "),
						"Access-Control-Allow-Headers": ACCEPTED,
						"Access-Control-Max-Age": "600",
					}
				: {},
	};
}
