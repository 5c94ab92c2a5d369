import { shape } from "../../lib/contracts/schema.ts";

export const id = { id: { type: "uuid" } } as const;
export const email = { type: "email", max: 254, normalize: true } as const;
export const full_name = { type: "string", min: 1, max: 255, trim: true } as const;
export const role = { type: "enum", values: ["user", "admin"] } as const;
/** A new password. The rules also limit it to 72 bytes, because bcrypt ignores further bytes. */
export const password = { type: "string", min: 8, max: 128, example: "correct horse" } as const;
/** A password to verify: it may be from before the minimum length. */
export const current_password = { type: "string", min: 1, max: 128 } as const;

export const user = shape({
	...id,
	email,
	full_name,
	role,
	is_active: { type: "boolean" },
	is_verified: { type: "boolean" },
	created_at: { type: "time" },
	updated_at: { type: "time" },
});

/** ID of an e-mail change, see migrations/0005. */
export const change_id = { type: "number", integer: true, min: 1 } as const;
/** Part of an address or name, see users.search.ts. */
export const search = { type: "string", min: 1, max: 100, trim: true } as const;
/** Bulkhead of actions that may read many users. */
export const searching = { bulkhead: { concurrency: 8, queue: 100 } } as const;
/** Grows with each change that revokes the user's earlier access tokens. */
export const token_version = { type: "number", integer: true } as const;

/**
 * Bulkhead of actions that hash or compare passwords. A hash occupies one of at most two threads
 * for about 50 ms, so calls that would wait for seconds are refused instead of delaying the rest
 * of the service.
 */
export const hashing = { bulkhead: { concurrency: 10, queue: 100 } } as const;
