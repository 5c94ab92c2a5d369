import type { Meta } from "../../lib/contracts/contract.ts";
import { commonError, invalidField } from "../../lib/contracts/errors.ts";
import type { Infer } from "../../lib/contracts/schema.ts";
import { canonicalEmail } from "../../lib/text/email.ts";
import type { user } from "./users.contract.ts";

export type User = Infer<typeof user>;
type Caller = NonNullable<Meta["user"]>;
/** What can change of a user. */
export type Changes = Partial<
	Pick<User, "email" | "full_name" | "role" | "is_active" | "is_verified">
>;

/** bcrypt reads no further, so two passwords that differ only after it would be the same. */
const PASSWORD_BYTES = 72;
const PASSWORD_MIN = 8;
export const fitsBcrypt = (password: string): boolean =>
	Buffer.byteLength(password) <= PASSWORD_BYTES;
/**
 * A new password in the form in which it is hashed: NFC, because keyboards differ in how they
 * compose "é".
 * @throws VALIDATION_ERROR
 */
export function acceptPassword(password: string, field = "password"): string {
	const normalized = password.normalize("NFC");
	if (normalized.length < PASSWORD_MIN)
		throw invalidField(field, "STRING_MIN", `A password has at least ${PASSWORD_MIN} characters`);
	if (!fitsBcrypt(normalized))
		throw invalidField(
			field,
			"BYTES_MAX",
			`A password takes at most ${PASSWORD_BYTES} bytes in UTF-8`,
		);
	return normalized;
}
/**
 * The forms in which a stored hash may have read this password, the most likely one first. Hashes
 * from before passwords were normalized were made of whatever form the keyboard gave.
 */
export const passwordForms = (password: string): string[] => [
	...new Set([password.normalize("NFC"), password.normalize("NFD"), password]),
];

/** @returns the address in its canonical form. @throws VALIDATION_ERROR */
export const acceptEmail = (email: string): string => {
	const canonical = canonicalEmail(email);
	if (canonical === undefined)
		throw invalidField(
			"email",
			"EMAIL",
			"This is not a plain e-mail address such as zoe@example.com",
		);
	return canonical;
};
/**
 * How an address is looked up: by its canonical form, or as it was stored before that form was
 * defined. Accounts whose canonical address belongs to another account keep the old form.
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
 * Mail programs make a link of "shop.example". An initial in front of the dot ("J.R.") is no
 * domain.
 */
const DOMAIN = /[\p{L}\p{N}]{2}\.[\p{L}\p{N}]{2}/u;
/**
 * @returns the name in NFC.
 * @throws VALIDATION_ERROR for what is no name, such as a web address: names are copied into mails
 */
export function acceptName(name: string): string {
	const normalized = name.normalize("NFC");
	if (NAME.test(normalized) && /\p{L}/u.test(normalized) && !DOMAIN.test(normalized))
		return normalized;
	throw invalidField(
		"full_name",
		"STRING_PATTERN",
		"A name consists of letters, digits, spaces and punctuation, and contains no web address",
	);
}

/**
 * The wanted changes of a user, in canonical form; the present address passes as it is stored.
 * @throws VALIDATION_ERROR
 */
export function acceptChanges(
	present: Pick<User, "email">,
	{ email, full_name, ...others }: Changes,
): Changes {
	return {
		...others,
		...(full_name === undefined ? {} : { full_name: acceptName(full_name) }),
		...(email === undefined ? {} : { email: email === present.email ? email : acceptEmail(email) }),
	};
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
	if (caller.role !== "admin" && (wanted.role !== undefined || wanted.is_active !== undefined))
		throw commonError("FORBIDDEN");
}
/** @throws VALIDATION_ERROR when nothing is wanted */
export function assertWantsSomething(wanted: Changes): void {
	if (Object.keys(wanted).length === 0)
		throw invalidField("", "EMPTY", "Name at least one field to change");
}

/** What differs from how the user is. A new address is not verified unless `wanted` says so. */
export function changesOf(user: User, wanted: Changes): Changes {
	const moves = wanted.email !== undefined && wanted.email !== user.email;
	const all: Changes = moves ? { ...wanted, is_verified: wanted.is_verified ?? false } : wanted;
	return Object.fromEntries(
		Object.entries(all).filter(([field, value]) => value !== user[field as keyof Changes]),
	);
}

/** Whether these changes leave one active administrator less. */
export const endsAdministrator = (user: User, changes: Changes): boolean =>
	user.role === "admin" &&
	user.is_active &&
	(changes.role === "user" || changes.is_active === false);

/** Whether these changes revoke the links that were mailed to the user. */
export const revokesLinks = ({ email, is_active }: Changes): boolean =>
	email !== undefined || is_active !== undefined;

/** What becomes of the user's sessions; undefined where these changes do not touch what access tokens tell. */
export function sessionsAfter(changes: Changes): "kept" | "ended" | undefined {
	if (changes.is_active === false || changes.email !== undefined) return "ended";
	return changes.role === undefined ? undefined : "kept";
}
