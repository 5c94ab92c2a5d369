import { contract } from "../../lib/contracts/contract.ts";
import { eventActions } from "../../lib/contracts/event-actions.ts";
import { object, shape } from "../../lib/contracts/schema.ts";
import { revocationsPage } from "../../lib/security/revocations.ts";

const tokens = shape({
	access_token: { type: "string" },
	token_type: { type: "enum", values: ["bearer"] },
	expires_in: { type: "number", integer: true, description: "Seconds" },
	refresh_token: { type: "string" },
});
const refresh_token = { type: "string", min: 1, max: 200 } as const;

export const auth = contract({
	name: "auth",
	actions: {
		...eventActions,
		login: {
			summary: "Exchange e-mail address and password for tokens",
			rest: "POST /users/login",
			repeatable: "signs in once more; a response with tokens is never stored",
			strict: true,
			auth: "anyone",
			params: {
				email: { type: "email", max: 254, normalize: true },
				password: { type: "string", min: 1, max: 128 },
			},
			returns: object(tokens),
			throws: ["INVALID_CREDENTIALS", "RATE_LIMITED"],
		},
		/**
		 * A used token in somebody's hands means that it was stolen, from one side or the other, so nobody keeps the session. That holds for two
		 * requests at once as well: a client sends one at a time, and one that never saw the answer signs in again.
		 */
		refresh: {
			summary:
				"Exchange a refresh token for a new pair; one that was already used revokes its whole family",
			rest: "POST /auth/refresh",
			repeatable: "a refresh token is valid once",
			auth: "anyone",
			params: { refresh_token },
			returns: object(tokens),
			throws: ["UNAUTHENTICATED"],
		},
		/** A token that nobody knows ends nothing and is no error. */
		logout: {
			summary: "End a session: none of its tokens works any more",
			rest: "POST /auth/logout",
			repeatable: "an ended session stays ended",
			auth: "anyone",
			status: 204,
			params: { refresh_token },
			returns: { type: "any" },
		},
		logoutEverywhere: {
			summary: "End all of one's sessions",
			rest: "POST /auth/logout-everywhere",
			repeatable: "ended sessions stay ended",
			auth: "user",
			status: 204,
			params: {},
			returns: { type: "any" },
		},
		/**
		 * For gateways: the access tokens that are void before they expire, see lib/security/revocations.ts.
		 * Without a `cursor` the list begins anew. Older gateways pass `since`.
		 */
		revocations: {
			params: {
				since: { type: "time", optional: true },
				cursor: { type: "string", max: 65_536, pattern: "^([\\d:,]*/){2}\\d+$", optional: true },
			},
			returns: revocationsPage,
			timeout: 2000,
		},
	},
	errors: {
		/** As in users: also said here when the password was changed between its check and the opening of a session. */
		INVALID_CREDENTIALS: { status: 401, message: "Invalid email or password" },
	},
});

declare module "../../lib/contracts/contract.ts" {
	interface Contracts {
		auth: typeof auth;
	}
}
