import { contract } from "../../lib/contracts/contract.ts";
import { eventActions } from "../../lib/contracts/event-actions.ts";
import { list, object, page, paging, pick, shape } from "../../lib/contracts/schema.ts";

const email = { type: "email", max: 254, normalize: true } as const;
const full_name = { type: "string", min: 1, max: 255, trim: true } as const;
const role = { type: "enum", values: ["user", "admin"] } as const;
/** At most 72 bytes besides, because bcrypt reads no further. */
const password = { type: "string", min: 8, max: 128, example: "correct horse" } as const;

export const user = shape({
	id: { type: "uuid" },
	email,
	full_name,
	role,
	is_active: { type: "boolean" },
	is_verified: { type: "boolean" },
	created_at: { type: "time" },
	updated_at: { type: "time" },
});

/** A hash takes 50 ms of one of few threads: what cannot be done within seconds is better refused, and the rest of the service goes on. */
const hashing = { bulkhead: { concurrency: 10, queue: 100 } } as const;

const id = { id: { type: "uuid" } } as const;
const token = { type: "string", min: 1, max: 200 } as const;
/** The number of an e-mail change, see migrations/0005. */
const change_id = { type: "number", integer: true, min: 1 } as const;
/** Grows with every change after which access tokens from before must not be believed any more. */
const token_version = { type: "number", integer: true } as const;

export const users = contract({
	name: "users",
	actions: {
		...eventActions,
		create: {
			summary: "Register",
			rest: "POST /users",
			repeatable: "an address registers once",
			strict: true,
			auth: "anyone",
			status: 201,
			params: { email, password, full_name },
			returns: object(user),
			throws: ["EMAIL_TAKEN"],
			...hashing,
		},
		verifyEmail: {
			summary: "Confirm an e-mail address with the token from the welcome message",
			rest: "POST /users/verify-email",
			repeatable: "a token is valid once",
			strict: true,
			auth: "anyone",
			status: 204,
			params: { token },
			returns: { type: "any" },
			throws: ["INVALID_TOKEN"],
		},
		requestPasswordReset: {
			summary:
				"Have a link mailed that sets a new password; the answer does not tell whether there is such a user",
			rest: "POST /users/password-reset",
			repeatable: "at most one mail per minute and address",
			strict: true,
			auth: "anyone",
			status: 202,
			params: { email },
			returns: object({ message: { type: "string" } }),
		},
		resetPassword: {
			summary: "Set a new password with the token from the mailed link; ends every session",
			rest: "POST /users/password-reset/confirm",
			repeatable: "a token is valid once",
			strict: true,
			auth: "anyone",
			status: 204,
			params: { token, new_password: password },
			returns: { type: "any" },
			throws: ["INVALID_TOKEN"],
			...hashing,
		},
		confirmEmailChange: {
			summary:
				"Move the account to the new e-mail address with the token mailed to it; ends every session",
			rest: "POST /users/email-change/confirm",
			strict: true,
			auth: "anyone",
			status: 204,
			params: { token },
			returns: { type: "any" },
			throws: ["INVALID_TOKEN", "EMAIL_TAKEN"],
			repeatable: "a token is valid once",
		},
		undoEmailChange: {
			summary:
				"Restore the former e-mail address with the token mailed to it, and set a new password; ends every session. Valid for seven days",
			rest: "POST /users/email-change/undo",
			strict: true,
			auth: "anyone",
			status: 204,
			params: { token, new_password: password },
			returns: { type: "any" },
			throws: ["INVALID_TOKEN", "EMAIL_TAKEN"],
			repeatable: "a token is valid once",
			...hashing,
		},
		changePassword: {
			summary: "Change one's own password; ends one's other sessions",
			rest: "POST /users/:id/password",
			repeatable: "the current password is different after the first request",
			strict: true,
			auth: "owner",
			status: 204,
			params: {
				...id,
				current_password: { type: "string", min: 1, max: 128 },
				new_password: password,
			},
			returns: { type: "any" },
			throws: ["WRONG_PASSWORD", "RATE_LIMITED"],
			...hashing,
		},
		list: {
			summary: "List users",
			rest: "GET /users",
			auth: "admin",
			page: true,
			params: paging,
			returns: page(user),
		},
		me: {
			summary: "The caller",
			rest: "GET /users/me",
			auth: "user",
			params: {},
			returns: object(user),
		},
		get: {
			summary: "One user",
			rest: "GET /users/:id",
			auth: "owner",
			params: id,
			returns: object(user),
			throws: ["USER_NOT_FOUND"],
		},
		update: {
			summary:
				"Change a user; is_active and role only by an admin. A new e-mail address requires the caller's own current_password. One's own address changes when the link mailed to the new one is used",
			rest: "PATCH /users/:id",
			also: ["PUT"],
			strict: true,
			auth: "owner",
			params: {
				...id,
				email: { ...email, optional: true },
				current_password: { type: "string", min: 1, max: 128, optional: true },
				full_name: { ...full_name, optional: true },
				is_active: { type: "boolean", optional: true },
				role: { ...role, optional: true },
			},
			returns: object(user),
			throws: [
				"USER_NOT_FOUND",
				"EMAIL_TAKEN",
				"LAST_ADMIN",
				"WRONG_PASSWORD",
				"PRECONDITION_FAILED",
				"RATE_LIMITED",
			],
			...hashing,
		},
		remove: {
			summary: "Deactivate a user; the row stays for the orders",
			rest: "DELETE /users/:id",
			auth: "admin",
			status: 204,
			params: id,
			returns: { type: "any" },
			throws: ["USER_NOT_FOUND", "LAST_ADMIN"],
		},
		/** Set-based, for other services: null where there is no such user. */
		resolve: {
			params: { ids: list({ type: "uuid" }, { max: 1000 }) },
			returns: list({ type: "object", props: user, nullable: true }),
			retry: true,
			divide: { list: "ids" },
		},
		/** Set-based, for whoever signs tokens: what is in them. */
		identify: {
			params: { ids: list({ type: "uuid" }, { max: 1000 }) },
			returns: list({
				type: "object",
				props: { ...pick(user, "id", "email", "role", "is_active"), token_version },
				nullable: true,
			}),
			retry: true,
			divide: { list: "ids" },
		},
		/**
		 * The active user with this address and password; takes the same time for an unknown address. After some failures the pair of account and
		 * client address has to wait, longer each time.
		 */
		authenticate: {
			params: { email, password: { type: "string", min: 1, max: 128 } },
			returns: object({ ...user, token_version }),
			throws: ["INVALID_CREDENTIALS", "RATE_LIMITED"],
			...hashing,
		},
		/**
		 * A fresh single-use token, good for 48 hours, that proves whoever brings it back reads the mail of this address: the one it is about to
		 * be sent to, or else the user's own. Once the user has another address it proves nothing.
		 */
		issueVerification: {
			params: { user_id: { type: "uuid" }, email: { ...email, optional: true } },
			returns: object({ token: { type: "string" } }),
			throws: ["USER_NOT_FOUND"],
		},
		/** The same for setting a new password: good for an hour, and only while this is the address of an active user. */
		issuePasswordReset: {
			params: { user_id: { type: "uuid" }, email: { ...email, optional: true } },
			returns: object({ token: { type: "string" } }),
			throws: ["USER_NOT_FOUND"],
		},
		/**
		 * A fresh token for the new address of a pending change, valid for 48 hours after the
		 * request. Null if that address already has an account.
		 */
		issueEmailChange: {
			params: { user_id: { type: "uuid" }, change_id },
			returns: object({ email: { type: "string" }, token: { type: "string", nullable: true } }),
			throws: ["EMAIL_CHANGE_NOT_FOUND"],
		},
		/**
		 * A fresh token for the former address, with which its owner undoes the change for seven
		 * days after the request.
		 */
		issueEmailChangeUndo: {
			params: { user_id: { type: "uuid" }, change_id },
			returns: object({ email: { type: "string" }, token: { type: "string" } }),
			throws: ["EMAIL_CHANGE_NOT_FOUND"],
		},
		/** Registers a user unless the address is taken, and then answers with whoever has it: for what a first start needs. */
		seed: {
			params: { email, password, full_name, role, is_verified: { type: "boolean" } },
			returns: object(user),
		},
	},
	events: {
		"user.created": { user_id: { type: "uuid" }, email, full_name },
		"user.updated": {
			user_id: { type: "uuid" },
			updated_fields: list({ type: "string" }),
			/** True if the owner of the address has proved that they read its mail. */
			is_verified: { type: "boolean", optional: true },
		},
		/**
		 * A user requested another e-mail address, which is pending until the link mailed to it is
		 * used.
		 */
		"user.email_change_requested": { user_id: { type: "uuid" }, change_id },
		/**
		 * A change of the e-mail address was requested by the user, or made by an administrator.
		 * The former address gets a notice.
		 */
		"user.email_change_recorded": { user_id: { type: "uuid" }, change_id },
		"user.password_reset_requested": { user_id: { type: "uuid" } },
		/** Access tokens with a lower version are void. With `ended` so are the sessions that they came from, but for `except`, where the change was made. */
		"user.access_changed": {
			user_id: { type: "uuid" },
			token_version,
			sessions: { type: "enum", values: ["kept", "ended"] },
			except: { type: "uuid", optional: true },
		},
	},
	errors: {
		EMAIL_TAKEN: { status: 409, message: "This e-mail address is already registered" },
		INVALID_CREDENTIALS: { status: 401, message: "Invalid email or password" },
		WRONG_PASSWORD: { status: 403, message: "The current password is wrong" },
		USER_NOT_FOUND: { status: 404, message: "User not found" },
		LAST_ADMIN: {
			status: 409,
			message: "The last active administrator can neither be deactivated nor lose the role",
		},
		EMAIL_CHANGE_NOT_FOUND: { status: 404, message: "The e-mail change is not pending any more" },
		INVALID_TOKEN: { status: 422, message: "The token is invalid, expired or was already used" },
	},
});

declare module "../../lib/contracts/contract.ts" {
	interface Contracts {
		users: typeof users;
	}
}
