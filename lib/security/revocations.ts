import { type Infer, list, object, shape } from "../contracts/schema.ts";

/** What makes an access token void before it expires. */
export const revocation = shape({
	/** The user's tokens with a lower version than `below` are void, but for those of the session `except` … */
	user_id: { type: "uuid", nullable: true },
	below: { type: "number", integer: true, nullable: true },
	except: { type: "uuid", nullable: true },
	/** … or every token of this session. */
	session_id: { type: "uuid", nullable: true },
	at: { type: "time" },
});
export type Revocation = Infer<typeof revocation>;

/** The most that one answer holds; there may be more when it is full. */
export const REVOCATIONS_PAGE_SIZE = 2000;
/**
 * A page of revocations. `cursor` continues behind it: with the rest of the list while there is
 * `more`, then with revocations that have committed since.
 */
export const revocationsPage = object({
	revocations: list(object(revocation)),
	now: { type: "time" },
	/** Missing in responses to older gateways, which pass a time, and of older nodes. */
	cursor: { type: "string", optional: true },
	more: { type: "boolean", optional: true },
});

/** Whoever keeps the revocations answers this action … */
export const REVOCATIONS = "auth.revocations";
/** … and broadcasts this when there are new ones. It may get lost. */
export const REVOKED = "auth.revoked";
