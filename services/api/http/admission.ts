import { isError } from "../../../lib/contracts/contract.ts";
import { cookieAuthorization } from "../console/cookies.ts";
import { clientAddress } from "./client-address.ts";
import { type Gateway, type Request, type Response, sendsSecret } from "./exchange.ts";
import { requestId } from "./request-metadata.ts";
import { originForm } from "./request-target.ts";

/**
 * Exempt from the rate limit: load balancers and orchestrators send these from few addresses and
 * interpret 429 as an outage. Concurrent probes share one check (system-endpoints.ts).
 */
const PROBES = new Set(["/health/live", "/health/ready", "/health/serving"]);

/** Counts a request against the rate limit, then passes it to moleculer-web. */
export async function admit(gateway: Gateway, req: Request, res: Response): Promise<void> {
	try {
		req.startedAt = performance.now();
		req.id = requestId(req.headers);
		await countRequest(gateway, req, res);
	} catch (error) {
		gateway.errorHandler(req, res, error);
		return;
	}
	// The client may have disconnected while Redis counted.
	if (!res.closed) gateway.httpHandler(req, res);
}

/**
 * Counts every request, with or without a route, before it is processed, except probes and
 * webhooks: a provider sends those of all payments from few addresses. Users are counted by ID;
 * requests without a valid token and requests to strict routes are counted by address. An address
 * that has sent too many wrong secrets may not send another.
 * @throws RATE_LIMITED
 */
async function countRequest(gateway: Gateway, req: Request, res: Response): Promise<void> {
	req.parsedUrl = pathOf(req.url!);
	const target = gateway.table.peek(req.method, req.parsedUrl);
	// For the access log and the metrics of a request that is refused here.
	if (target) req.$alias = target;
	req.address = clientAddress(req, gateway.proxies);
	req.authentication = authenticate(gateway, req, res);
	if (target && (PROBES.has(target.pattern) || target.contract?.rawBody)) return;
	const { user } = req.authentication;
	const limit = target?.contract?.strict;
	const strict = limit === true || (limit === "guests" && !user);
	const client = strict ? req.address : (user?.id ?? req.address);
	await gateway.rateLimits.count(client, strict, (headers) => {
		req.limit = headers;
	});
	if (target && sendsSecret(req)) gateway.rateLimits.assertMayGuess(req.address);
}

const FAILURES = ["UNAUTHENTICATED", "FORBIDDEN", "SERVICE_UNAVAILABLE"] as const;

/**
 * Verifies the token, or that of the console's cookie. Returns a failure instead of throwing it:
 * not all routes require a user.
 */
function authenticate(gateway: Gateway, req: Request, res: Response): Request["authentication"] {
	const { authorization, cookie } = req.headers;
	try {
		if (cookie !== undefined && authorization === undefined) {
			req.cookieAuthorization = cookieAuthorization(gateway, req);
			// Shared caches know that a response to Authorization is private, but not to a cookie.
			if (req.cookieAuthorization) res.setHeader("Cache-Control", "no-store");
		}
		return { user: gateway.verifyToken(authorization ?? req.cookieAuthorization) };
	} catch (error) {
		if (!FAILURES.some((code) => isError(error, code))) throw error;
		return { user: null, error };
	}
}

/** Removes the query and a trailing slash, like moleculer-web, and the host of an absolute form. */
function pathOf(url: string): string {
	const path = originForm(url).split("?", 1)[0]!;
	return path.length > 1 && path.endsWith("/") ? path.slice(0, -1) : path;
}
