import { type Infer, list, object, shape } from "../contracts/schema.ts";

/** Revocation of access tokens before they expire. */
const revocation = shape({
	/**
	 * Revokes tokens of the user with a version lower than `below`, except those of the session
	 * `except`.
	 */
	user_id: { type: "uuid", nullable: true },
	below: { type: "number", integer: true, nullable: true },
	except: { type: "uuid", nullable: true },
	/** Revokes all tokens of the session. Set instead of `user_id`. */
	session_id: { type: "uuid", nullable: true },
	at: { type: "time" },
});
export type Revocation = Infer<typeof revocation>;

/** Maximum number of revocations in one page. */
export const REVOCATIONS_PAGE_SIZE = 2000;
/**
 * A page of revocations. `cursor` continues behind it: with the rest of the list while there is
 * `more`, then with revocations that have committed since.
 */
export const revocationsPage = object({
	revocations: list(object(revocation)),
	now: { type: "time" },
	/** Absent in responses to older gateways, which pass a time, and of older nodes. */
	cursor: { type: "string", optional: true },
	more: { type: "boolean", optional: true },
});

/** Action of the service that stores the revocations. */
export const REVOCATIONS = "auth.revocations";
/** Event of that service after new revocations. It may be lost. */
export const REVOKED = "auth.revoked";
