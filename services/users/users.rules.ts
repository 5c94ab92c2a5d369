import type { Meta } from "../../lib/contract.ts";
import { commonError, invalidField } from "../../lib/errors.ts";
import type { Infer } from "../../lib/schema.ts";
import type { user } from "./users.contract.ts";

export type User = Infer<typeof user>;
type Caller = NonNullable<Meta["user"]>;
/** What can change of a user. */
export type Changes = Partial<Pick<User, "email" | "full_name" | "role" | "is_active" | "is_verified">>;

/** bcrypt reads no further, so two passwords that differ only after it would be the same. */
const PASSWORD_BYTES = 72;
export const fitsBcrypt = (password: string): boolean => Buffer.byteLength(password) <= PASSWORD_BYTES;
/** @throws VALIDATION_ERROR */
export function assertPasswordFits(password: string, field = "password"): void {
	if (!fitsBcrypt(password)) throw invalidField(field, "BYTES_MAX", `A password takes at most ${PASSWORD_BYTES} bytes in UTF-8`);
}

/** @throws FORBIDDEN unless it is the caller's own account or the caller is an admin */
export function assertMaySee({ id, role }: Caller, userId: string): void {
	if (id !== userId && role !== "admin") throw commonError("FORBIDDEN");
}
/** @throws FORBIDDEN for somebody else's account, for admins too */
export function assertIsSelf({ id }: Caller, userId: string): void {
	if (id !== userId) throw commonError("FORBIDDEN");
}
/** @throws FORBIDDEN for somebody else's account, and for a role or `is_active`, unless the caller is an admin */
export function assertMayChange(caller: Caller, userId: string, wanted: Changes): void {
	assertMaySee(caller, userId);
	if (caller.role !== "admin" && (wanted.role !== undefined || wanted.is_active !== undefined)) throw commonError("FORBIDDEN");
}
/** @throws VALIDATION_ERROR when nothing is wanted */
export function assertWantsSomething(wanted: Changes): void {
	if (Object.keys(wanted).length === 0) throw invalidField("", "EMPTY", "Name at least one field to change");
}

/** What differs from how the user is. Nobody has proved yet to read the mail of a new address. */
export function changesOf(user: User, wanted: Changes): Changes {
	const moves = wanted.email !== undefined && wanted.email !== user.email;
	const all: Changes = moves ? { ...wanted, is_verified: false } : wanted;
	return Object.fromEntries(Object.entries(all).filter(([field, value]) => value !== user[field as keyof Changes]));
}

/** Whether these changes leave one active administrator less. */
export const endsAdministrator = (user: User, changes: Changes): boolean =>
	user.role === "admin" && user.is_active && (changes.role === "user" || changes.is_active === false);

/** What becomes of the user's sessions; undefined where these changes do not touch what access tokens tell. */
export function sessionsAfter(changes: Changes): "kept" | "ended" | undefined {
	if (changes.is_active === false) return "ended";
	return changes.role === undefined ? undefined : "kept";
}
