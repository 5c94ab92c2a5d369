import { LRUCache } from "lru-cache";
import type { Meta } from "../../../lib/contracts/contract.ts";
import { commonError } from "../../../lib/contracts/errors.ts";
import type { AccessClaims, Verify } from "../../../lib/security/access-token.ts";

type User = NonNullable<Meta["user"]>;
/** Returns the user of an Authorization header, or null without one. @throws UNAUTHENTICATED */
export type Authenticate = (authorization: string | undefined) => User | null;
/** Revoked access tokens. */
export interface Revoked {
	/** False until the list has been loaded once. */
	readonly known: boolean;
	isVoid(claims: AccessClaims): boolean;
}

const BEARER = /^Bearer +([A-Za-z0-9._~+/=-]+)$/i;
/** Number of cached verifications. */
const MAX_CACHED = 5000;

/**
 * Verifies access tokens (RFC 6750). Caches valid tokens until they expire, because verifying a
 * signature costs more than the rest of a request.
 * @throws SERVICE_UNAVAILABLE until the revocations have been loaded
 */
export function authenticator(verify: Verify, revoked: Revoked): Authenticate {
	const verified = new LRUCache<string, { user: User; claims: AccessClaims; exp: number }>({
		max: MAX_CACHED,
	});
	return (authorization) => {
		if (authorization === undefined) return null;
		const token = BEARER.exec(authorization)?.[1];
		if (!token) throw commonError("UNAUTHENTICATED");
		let known = verified.get(token);
		if (!known || known.exp * 1000 <= Date.now()) {
			const claims = verify(token);
			const { sub, email, role, session, exp } = claims;
			// Requests share this object.
			known = { user: Object.freeze({ id: sub, email, role, session }), claims, exp };
			verified.set(token, known);
		}
		if (!revoked.known) throw commonError("SERVICE_UNAVAILABLE");
		if (revoked.isVoid(known.claims)) throw commonError("UNAUTHENTICATED");
		return known.user;
	};
}
