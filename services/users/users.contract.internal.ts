import { list, object, pick } from "../../lib/contracts/schema.ts";
import {
	change_id,
	current_password,
	email,
	full_name,
	hashing,
	password,
	role,
	search,
	searching,
	token_version,
	user,
} from "./users.contract.shapes.ts";

const ids = list({ type: "uuid" }, { max: 1000 });

/** Actions without a route, for other services. */
export const internalActions = {
	/** Users in the order of `ids`, with null for an unknown ID. */
	resolve: {
		params: { ids },
		returns: list({ type: "object", props: user, nullable: true }),
		retry: true,
		divide: { list: "ids" },
	},
	/** The user with this e-mail address, or null. For operators. */
	findByEmail: {
		params: { email },
		returns: { type: "object", props: user, nullable: true },
		retry: true,
	},
	/** IDs of users whose address or name contains `q`, oldest first. */
	search: {
		params: { q: search, limit: { type: "number", integer: true, min: 1, max: 1000 } },
		returns: list({ type: "uuid" }),
		retry: true,
		...searching,
	},
	/** Claims of access tokens in the order of `ids`, with null for an unknown ID. */
	identify: {
		params: { ids },
		returns: list({
			type: "object",
			props: { ...pick(user, "id", "email", "role", "is_active"), token_version },
			nullable: true,
		}),
		retry: true,
		divide: { list: "ids" },
	},
	/**
	 * Returns the active user with this address and password. Takes the same time for an unknown
	 * address. Repeated failures delay further attempts of the same client address on the same
	 * account, longer each time.
	 */
	authenticate: {
		params: { email, password: current_password },
		returns: object({ ...user, token_version }),
		throws: ["INVALID_CREDENTIALS", "RATE_LIMITED"],
		...hashing,
	},
	/**
	 * Issues a single-use token, valid for 48 hours, that verifies the address it is mailed to: the
	 * given one or else the user's own. The token is void once the user has another address.
	 */
	issueVerification: {
		params: { user_id: { type: "uuid" }, email: { ...email, optional: true } },
		returns: object({ token: { type: "string" } }),
		throws: ["USER_NOT_FOUND"],
	},
	/**
	 * Issues a single-use token, valid for one hour, that sets a new password. It is valid only for
	 * an active user with this address.
	 */
	issuePasswordReset: {
		params: { user_id: { type: "uuid" }, email: { ...email, optional: true } },
		returns: object({ token: { type: "string" } }),
		throws: ["USER_NOT_FOUND"],
	},
	/**
	 * Issues a token for the new address of a pending change, valid for 48 hours after the request.
	 * Null if that address already has an account.
	 */
	issueEmailChange: {
		params: { user_id: { type: "uuid" }, change_id },
		returns: object({ email: { type: "string" }, token: { type: "string", nullable: true } }),
		throws: ["EMAIL_CHANGE_NOT_FOUND"],
	},
	/**
	 * Issues a token for the former address, with which its owner undoes the change for seven days
	 * after the request.
	 */
	issueEmailChangeUndo: {
		params: { user_id: { type: "uuid" }, change_id },
		returns: object({ email: { type: "string" }, token: { type: "string" } }),
		throws: ["EMAIL_CHANGE_NOT_FOUND"],
	},
	/** Registers a user for demo data, or returns the existing user with this address. */
	seed: {
		params: { email, password, full_name, role, is_verified: { type: "boolean" } },
		returns: object(user),
	},
} as const;
