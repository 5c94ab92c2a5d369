import { isError } from "../../../lib/contracts/contract.ts";
import { assertAccess } from "../../../lib/security/access-rules.ts";
import type { Request, Response, Target } from "../http/exchange.ts";
import { metadata } from "../http/request-metadata.ts";

/**
 * Returns the caller, or null without one. A public route ignores a token that is invalid or cannot
 * be verified: a client that sends its token with every request must still be able to browse, sign
 * in and refresh. RFC 9110, 11.6.1, allows WWW-Authenticate in any response, so the client learns
 * that its token is invalid.
 * @throws UNAUTHENTICATED, SERVICE_UNAVAILABLE if the route requires a user
 */
export function identify(
	{ authentication: { user, error } }: Request,
	res: Response,
	{ contract }: Target,
): Request["authentication"]["user"] {
	if (!contract || !error) return user;
	if (contract.auth !== "anyone") throw error;
	if (isError(error, "UNAUTHENTICATED"))
		res.setHeader("WWW-Authenticate", 'Bearer error="invalid_token"');
	return null;
}

/**
 * Checks the access rule of the route, then adds the request's metadata to the call.
 * @throws UNAUTHENTICATED, FORBIDDEN, BAD_HEADER, PRECONDITION_FAILED
 */
export function permit({ meta }: Request["$ctx"], req: Request, { contract }: Target): void {
	if (!contract) return;
	assertAccess(contract.auth, meta.user);
	Object.assign(meta, metadata(req, contract));
	meta.address = req.address;
}
