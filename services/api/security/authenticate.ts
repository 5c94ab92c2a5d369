import { LRUCache } from "lru-cache";
import type { Meta } from "../../../lib/contracts/contract.ts";
import { commonError } from "../../../lib/contracts/errors.ts";
import type { AccessClaims, Verify } from "../../../lib/security/access-token.ts";

type User = NonNullable<Meta["user"]>;
/** Who sends an Authorization header; null if there is none. @throws UNAUTHENTICATED for any header that is not a good token's */
export type Authenticate = (authorization: string | undefined) => User | null;
/** What is known of tokens that are void before they expire. */
export interface Revoked {
	/** False while nothing is known yet. */
	readonly known: boolean;
	isVoid(claims: AccessClaims): boolean;
}

const BEARER = /^Bearer +([A-Za-z0-9._~+/=-]+)$/i;
const REMEMBERED = 5000;

/**
 * Verifies access tokens (RFC 6750) and remembers the latest good ones until they expire: a signature costs more than the rest of a request.
 * @throws SERVICE_UNAVAILABLE while it is not known which tokens are revoked
 */
export function authenticator(verify: Verify, revoked: Revoked): Authenticate {
	const verified = new LRUCache<string, { user: User; claims: AccessClaims; exp: number }>({
		max: REMEMBERED,
	});
	return (authorization) => {
		if (authorization === undefined) return null;
		const token = BEARER.exec(authorization)?.[1];
		if (!token) throw commonError("UNAUTHENTICATED");
		let known = verified.get(token);
		if (!known || known.exp * 1000 <= Date.now()) {
			const claims = verify(token);
			const { sub, email, role, session, exp } = claims;
			// Many requests will share it.
			known = { user: Object.freeze({ id: sub, email, role, session }), claims, exp };
			verified.set(token, known);
		}
		if (!revoked.known) throw commonError("SERVICE_UNAVAILABLE");
		if (revoked.isVoid(known.claims)) throw commonError("UNAUTHENTICATED");
		return known.user;
	};
}
