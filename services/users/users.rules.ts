import { changedFields } from "../../lib/contracts/changes.ts";
import type { Meta } from "../../lib/contracts/contract.ts";
import { commonError, invalidField } from "../../lib/contracts/errors.ts";
import type { Infer } from "../../lib/contracts/schema.ts";
import { canonicalEmail } from "../../lib/text/email.ts";
import type { user } from "./users.contract.ts";

export type User = Infer<typeof user>;
type Caller = NonNullable<Meta["user"]>;
/** Fields of a user that can change. */
export type Changes = Partial<
	Pick<User, "email" | "full_name" | "role" | "is_active" | "is_verified">
>;

/** bcrypt ignores further bytes, so passwords that differ only after them would be equal. */
const PASSWORD_MAX_BYTES = 72;
const PASSWORD_MIN_CHARACTERS = 8;
/** Whether bcrypt processes the whole password: at most 72 bytes in UTF-8. */
export const fitsBcrypt = (password: string): boolean =>
	Buffer.byteLength(password) <= PASSWORD_MAX_BYTES;
/**
 * Validates a new password and returns the form to hash: NFC, because keyboards differ in how they
 * compose "é".
 * @throws VALIDATION_ERROR
 */
export function acceptPassword(password: string, field = "password"): string {
	const normalized = password.normalize("NFC");
	if (normalized.length < PASSWORD_MIN_CHARACTERS)
		throw invalidField(
			field,
			"STRING_MIN",
			`A password must have at least ${PASSWORD_MIN_CHARACTERS} characters`,
		);
	if (!fitsBcrypt(normalized))
		throw invalidField(
			field,
			"BYTES_MAX",
			`A password must not be longer than ${PASSWORD_MAX_BYTES} bytes in UTF-8`,
		);
	return normalized;
}
/**
 * Forms of a password to compare with a stored hash, the most likely one first. Older hashes are of
 * passwords that were not normalized, in the form that the keyboard composed.
 */
export const passwordForms = (password: string): string[] => [
	...new Set([password.normalize("NFC"), password.normalize("NFD"), password]),
];

/** Returns the address in canonical form. @throws VALIDATION_ERROR */
export const acceptEmail = (email: string): string => {
	const canonical = canonicalEmail(email);
	if (canonical === undefined)
		throw invalidField("email", "EMAIL", "Enter a plain e-mail address such as zoe@example.com");
	return canonical;
};
/**
 * Lookup keys of an address: its canonical form, and the form in which older versions stored it.
 * An account whose canonical address belongs to another account keeps the older form.
 */
export function emailKeys(email: string): { canonical: string; stored: string } {
	const stored = email.trim().toLowerCase();
	return { canonical: canonicalEmail(email) ?? stored, stored };
}

/**
 * Letters of any script with their marks and joiners, digits, spaces, and the punctuation of names
 * of people and companies.
 */
const NAME = /^(?:[\p{L}\p{M}\p{N}\p{Zs}.,'’ʼ‘`´"&()+‐–·・-]|\u200c|\u200d)+$/u;
/**
 * Text that mail programs turn into a link, such as "shop.example". An initial before the dot
 * ("J.R.") is not a domain.
 */
const DOMAIN = /[\p{L}\p{N}]{2}\.[\p{L}\p{N}]{2}/u;
/**
 * Returns the name in NFC.
 * @throws VALIDATION_ERROR for text that is not a name, such as a web address, because e-mails
 * contain the name
 */
export function acceptName(name: string): string {
	const normalized = name.normalize("NFC");
	if (NAME.test(normalized) && /\p{L}/u.test(normalized) && !DOMAIN.test(normalized))
		return normalized;
	throw invalidField(
		"full_name",
		"STRING_PATTERN",
		"A name consists of letters, digits, spaces and punctuation, without a web address",
	);
}

/**
 * Validates changes and returns them in canonical form. The current address is accepted in the form
 * in which it is stored.
 * @throws VALIDATION_ERROR
 */
export function acceptChanges(
	current: Pick<User, "email">,
	{ email, full_name, ...others }: Changes,
): Changes {
	return {
		...others,
		...(full_name === undefined ? {} : { full_name: acceptName(full_name) }),
		...(email === undefined ? {} : { email: email === current.email ? email : acceptEmail(email) }),
	};
}

/** @throws FORBIDDEN for another user's account, unless the caller is an administrator */
export function assertCanAccess({ id, role }: Caller, userId: string): void {
	if (id !== userId && role !== "admin") throw commonError("FORBIDDEN");
}
/** @throws FORBIDDEN for another user's account, also if the caller is an administrator */
export function assertIsSelf({ id }: Caller, userId: string): void {
	if (id !== userId) throw commonError("FORBIDDEN");
}
/**
 * @throws FORBIDDEN for another user's account and for a change of `role` or `is_active`, unless
 * the caller is an administrator
 */
export function assertCanChange(caller: Caller, userId: string, changes: Changes): void {
	assertCanAccess(caller, userId);
	if (caller.role !== "admin" && (changes.role !== undefined || changes.is_active !== undefined))
		throw commonError("FORBIDDEN");
}
/**
 * Fields that differ from the current ones. A new address is not verified unless `requested` says
 * so.
 */
export function changesOf(current: User, requested: Changes): Changes {
	const isNewAddress = requested.email !== undefined && requested.email !== current.email;
	const changes = isNewAddress
		? { ...requested, is_verified: requested.is_verified ?? false }
		: requested;
	return changedFields<Changes>(current, changes);
}

/** Whether these changes remove an active administrator. */
export const removesAdministrator = (user: User, changes: Changes): boolean =>
	user.role === "admin" &&
	user.is_active &&
	(changes.role === "user" || changes.is_active === false);

/** Whether these changes revoke links that were mailed to the user. */
export const revokesLinks = ({ email, is_active }: Changes): boolean =>
	email !== undefined || is_active !== undefined;

/**
 * Effect of these changes on the user's sessions. Undefined if no claim of an access token changes.
 */
export function sessionsAfter(changes: Changes): "kept" | "ended" | undefined {
	if (changes.is_active === false || changes.email !== undefined) return "ended";
	return changes.role === undefined ? undefined : "kept";
}
