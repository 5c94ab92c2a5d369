import { throwError } from "../../lib/contracts/contract.ts";
import type { Database, Queryable, Tx } from "../../lib/persistence/database.ts";
import { digest, makeSecretToken } from "../../lib/security/secret-token.ts";
import { users } from "./users.contract.ts";
import * as statements from "./users.statements.ts";

/** `email` verifies an address, `password` sets a new password. */
type Purpose = "email" | "password";
/** A redeemed token: its bearer reads the mail of this address. */
interface AddressProof {
	readonly user_id: string;
	readonly email: string;
}

const VALID_FOR: Record<Purpose, string> = { email: "48 hours", password: "1 hour" };

/**
 * Issues a token and revokes older ones of the same purpose.
 * @param email address that the token is mailed to; the user's own by default
 * @throws USER_NOT_FOUND
 */
export function issueToken(
	db: Database,
	purpose: Purpose,
	user_id: string,
	email?: string,
): Promise<string> {
	const token = makeSecretToken();
	return db.transaction(async (tx) => {
		const [owner] = await tx.query(statements.LOCK_TOKEN_OWNER, [user_id, purpose]);
		if (!owner) throwError(users, "USER_NOT_FOUND");
		await tx.query(statements.DELETE_OLDER_TOKENS, [user_id, purpose]);
		await tx.query(statements.INSERT_TOKEN, [
			digest(token),
			user_id,
			email ?? null,
			purpose,
			VALID_FOR[purpose],
		]);
		return token;
	});
}

/**
 * Revokes the links mailed to a locked user: verification, new password, pending change of address.
 * Links that undo a change of address stay valid, because an attacker changes password and address
 * first.
 */
export const revokeLinks = (tx: Tx, user_id: string): Promise<unknown> =>
	tx.query(statements.REVOKE_LINKS, [user_id]);

/** Redeems a token, which is then void. @throws INVALID_TOKEN */
export async function redeemToken(
	tx: Queryable,
	purpose: Purpose,
	token: string,
): Promise<AddressProof> {
	const [proof] = await tx.query<{ user_id: string; email: string }>(statements.REDEEM_TOKEN, [
		digest(token),
		purpose,
	]);
	return proof ?? throwError(users, "INVALID_TOKEN");
}

/** Returns the ID of a valid token's user without redeeming it. @throws INVALID_TOKEN */
export async function findTokenOwner(
	db: Queryable,
	purpose: Purpose,
	token: string,
): Promise<string> {
	const [owner] = await db.query<{ user_id: string }>(statements.FIND_TOKEN_OWNER, [
		digest(token),
		purpose,
	]);
	return owner?.user_id ?? throwError(users, "INVALID_TOKEN");
}
