import { contract } from "../../lib/contracts/contract.ts";
import { eventActions } from "../../lib/contracts/event-actions.ts";
import { object, shape } from "../../lib/contracts/schema.ts";
import { revocationsPage } from "../../lib/security/revocations.ts";

const tokens = shape({
	access_token: { type: "string" },
	token_type: { type: "enum", values: ["bearer"] },
	expires_in: {
		type: "number",
		integer: true,
		description: "Lifetime of the access token in seconds",
	},
	refresh_token: { type: "string" },
});
const refresh_token = { type: "string", min: 1, max: 200 } as const;

export const auth = contract({
	name: "auth",
	actions: {
		...eventActions,
		login: {
			summary: "Sign in with e-mail address and password",
			rest: "POST /users/login",
			repeatable:
				"a repeated request opens another session; responses with tokens are never stored",
			strict: true,
			secret: true,
			auth: "anyone",
			params: {
				email: { type: "email", max: 254, normalize: true },
				password: { type: "string", min: 1, max: 128 },
			},
			returns: object(tokens),
			throws: ["INVALID_CREDENTIALS", "RATE_LIMITED"],
		},
		/**
		 * A second use of a token means that it was stolen, either before or after its first use, so
		 * the session ends for both. The same applies to concurrent requests: clients send one at a
		 * time, and a client that received no response signs in again.
		 */
		refresh: {
			summary: "Exchange a refresh token for new tokens; reuse of a token ends its session",
			rest: "POST /auth/refresh",
			repeatable: "a refresh token is valid once",
			auth: "anyone",
			secret: true,
			params: { refresh_token },
			returns: object(tokens),
			throws: ["UNAUTHENTICATED"],
		},
		/** Ignores an unknown token. */
		logout: {
			summary: "Sign out; ends the session and revokes its tokens",
			rest: "POST /auth/logout",
			repeatable: "ending a session again has no effect",
			auth: "anyone",
			status: 204,
			params: { refresh_token },
			returns: { type: "any" },
		},
		logoutEverywhere: {
			summary: "Sign out of all sessions",
			rest: "POST /auth/logout-everywhere",
			repeatable: "ending sessions again has no effect",
			auth: "user",
			status: 204,
			params: {},
			returns: { type: "any" },
		},
		/**
		 * Lists access tokens that were revoked before they expire, for gateways (see
		 * lib/security/revocations.ts). Without a `cursor` the list starts at the beginning. Gateways
		 * of older versions pass `since`.
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
		/** Also thrown if the password changed after the users service had verified it. */
		INVALID_CREDENTIALS: { status: 401, message: "Invalid email or password" },
	},
});

declare module "../../lib/contracts/contract.ts" {
	interface Contracts {
		auth: typeof auth;
	}
}
