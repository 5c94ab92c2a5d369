import { contract } from "../../lib/contracts/contract.ts";
import { eventActions } from "../../lib/contracts/event-actions.ts";
import { list, object, page, paging } from "../../lib/contracts/schema.ts";
import { addressActions } from "./users.contract.addresses.ts";
import { internalActions } from "./users.contract.internal.ts";
import {
	change_id,
	current_password,
	email,
	full_name,
	hashing,
	id,
	password,
	role,
	search,
	searching,
	token_version,
	user,
} from "./users.contract.shapes.ts";

export { user };

/** A token from a mailed link. */
const token = { type: "string", min: 1, max: 200 } as const;

export const users = contract({
	name: "users",
	actions: {
		...eventActions,
		...internalActions,
		...addressActions,
		create: {
			summary: "Register a user",
			rest: "POST /users",
			repeatable: "an address can be registered once",
			strict: true,
			auth: "anyone",
			status: 201,
			params: { email, password, full_name },
			returns: object(user),
			throws: ["EMAIL_TAKEN"],
			...hashing,
		},
		verifyEmail: {
			summary: "Verify an e-mail address with the token of a mailed link",
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
				"Mail a password reset link; the response does not reveal whether the account exists",
			rest: "POST /users/password-reset",
			repeatable: "at most one message per minute and address",
			strict: true,
			auth: "anyone",
			status: 202,
			params: { email },
			returns: object({ message: { type: "string" } }),
		},
		resetPassword: {
			summary: "Set a new password with the token from the mailed link; ends all sessions",
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
				"Change the e-mail address with the token mailed to the new address; ends all sessions",
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
			summary: "Restore the former e-mail address and set a new password; ends all sessions",
			rest: "POST /users/email-change/undo",
			strict: true,
			auth: "anyone",
			status: 204,
			params: {
				token: { ...token, description: "Mailed to the former address, valid for seven days" },
				new_password: password,
			},
			returns: { type: "any" },
			throws: ["INVALID_TOKEN", "EMAIL_TAKEN"],
			repeatable: "a token is valid once",
			...hashing,
		},
		changePassword: {
			summary: "Change your password; ends your other sessions",
			rest: "POST /users/:id/password",
			repeatable: "the current password is wrong after the first request",
			strict: true,
			auth: "owner",
			status: 204,
			params: {
				...id,
				current_password,
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
			params: {
				...paging,
				q: {
					...search,
					optional: true,
					description:
						"Part of the e-mail address or name; one or two characters match the start of a word",
				},
				role: { ...role, optional: true },
				is_active: { type: "boolean", convert: true, optional: true },
			},
			returns: page(user),
			...searching,
		},
		requestVerification: {
			summary: "Mail a new link to verify your e-mail address; older links become invalid",
			rest: "POST /users/me/verification",
			repeatable: "at most one message per minute",
			strict: true,
			auth: "user",
			status: 202,
			params: {},
			returns: object({ message: { type: "string" } }),
			throws: ["EMAIL_VERIFIED"],
		},
		me: {
			summary: "Retrieve the authenticated user",
			rest: "GET /users/me",
			auth: "user",
			params: {},
			returns: object(user),
		},
		get: {
			summary: "Retrieve a user",
			rest: "GET /users/:id",
			auth: "owner",
			params: id,
			returns: object(user),
			throws: ["USER_NOT_FOUND"],
		},
		update: {
			summary: "Update a user",
			rest: "PATCH /users/:id",
			also: ["PUT"],
			strict: true,
			auth: "owner",
			params: {
				...id,
				email: {
					...email,
					optional: true,
					description: "A user's own new address takes effect when the mailed link is opened",
				},
				current_password: {
					...current_password,
					optional: true,
					description: "Password of the caller, required for a new e-mail address",
				},
				full_name: { ...full_name, optional: true },
				is_active: { type: "boolean", optional: true, description: "Administrators only" },
				role: { ...role, optional: true, description: "Administrators only" },
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
			summary: "Deactivate a user and delete the address book; orders keep referring to the user",
			rest: "DELETE /users/:id",
			auth: "admin",
			status: 204,
			params: id,
			returns: { type: "any" },
			throws: ["USER_NOT_FOUND", "LAST_ADMIN"],
		},
	},
	events: {
		"user.created": { user_id: { type: "uuid" }, email, full_name },
		"user.updated": {
			user_id: { type: "uuid" },
			updated_fields: list({ type: "string" }),
			/** Present if the new address is already verified. */
			is_verified: { type: "boolean", optional: true },
		},
		/**
		 * The account has proven that it receives the mail of its address, in canonical form
		 * (lib/text/email.ts): by a link to verify it, to set a password, to confirm or to undo a
		 * change of address. Published each time the account gets a verified address.
		 */
		"user.email_verified": { user_id: { type: "uuid" }, email },
		/** A user requested a new e-mail address. It is pending until the mailed link is opened. */
		"user.email_change_requested": { user_id: { type: "uuid" }, change_id },
		/**
		 * A user requested, or an administrator made, a change of the e-mail address. The former
		 * address receives a notice.
		 */
		"user.email_change_recorded": { user_id: { type: "uuid" }, change_id },
		"user.password_reset_requested": { user_id: { type: "uuid" } },
		"user.verification_requested": { user_id: { type: "uuid" } },
		/**
		 * Access tokens with a lower version are revoked. With `ended`, their sessions end as well,
		 * except for the session `except`, in which the change was made.
		 */
		"user.access_changed": {
			user_id: { type: "uuid" },
			token_version,
			sessions: { type: "enum", values: ["kept", "ended"] },
			except: { type: "uuid", optional: true },
		},
	},
	errors: {
		EMAIL_VERIFIED: { status: 409, message: "The e-mail address is already verified" },
		EMAIL_TAKEN: { status: 409, message: "This e-mail address is already registered" },
		INVALID_CREDENTIALS: { status: 401, message: "Invalid email or password" },
		WRONG_PASSWORD: { status: 403, message: "The current password is incorrect" },
		USER_NOT_FOUND: { status: 404, message: "User not found" },
		ADDRESS_NOT_FOUND: { status: 404, message: "Address not found" },
		ADDRESS_BOOK_FULL: { status: 409, message: "An account cannot have more than 50 addresses" },
		LAST_ADMIN: {
			status: 409,
			message: "The last active administrator cannot be deactivated or lose the role",
		},
		EMAIL_CHANGE_NOT_FOUND: { status: 404, message: "The e-mail change is no longer pending" },
		INVALID_TOKEN: { status: 422, message: "The token is invalid, expired or already used" },
	},
});

declare module "../../lib/contracts/contract.ts" {
	interface Contracts {
		users: typeof users;
	}
}
