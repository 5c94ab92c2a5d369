import { throwError } from "../../lib/contracts/contract.ts";
import { type Database, type Queryable, sql, type Tx } from "../../lib/persistence/database.ts";
import { digest, makeSecretToken } from "../../lib/security/secret-token.ts";
import { users } from "./users.contract.ts";

type Purpose = "email" | "password";
/** What a token proves: that whoever brings it reads the mail of this address. */
export interface Proof {
	readonly user_id: string;
	readonly email: string;
}

const GOOD_FOR: Record<Purpose, string> = { email: "48 hours", password: "1 hour" };

/**
 * Serializes with other issues and with every change that revokes links. A deactivated user gets no
 * link that sets a password.
 */
const LOCK_OWNER = sql(
	"lock_owner",
	"select id from users where id = $1 and (is_active or $2 = 'email') for no key update",
);
const DROP_OLDER = sql(
	"drop_older_links",
	"delete from verifications where user_id = $1 and purpose = $2",
);
/** Takes some expired tokens away as it adds one, so that they cannot pile up. */
const ISSUE = sql(
	"issue",
	`with expired as (delete from verifications where token_hash in (
		select token_hash from verifications where expires_at < now() limit 10 for update skip locked))
	insert into verifications (token_hash, user_id, email, purpose, expires_at)
	select $1, id, coalesce($3, email), $4, now() + $5::interval from users where id = $2`,
);
const REDEEM = sql(
	"redeem",
	"delete from verifications where token_hash = $1 and purpose = $2 and expires_at > now() returning user_id, email",
);
const LOOK = sql(
	"look",
	"select user_id from verifications where token_hash = $1 and purpose = $2 and expires_at > now()",
);
const REVOKE = sql(
	"revoke_links",
	`with links as (delete from verifications where user_id = $1)
	update email_changes set pending = false, confirm_hash = null where user_id = $1 and (pending or confirm_hash is not null)`,
);

/**
 * Issues a token, and revokes older ones of the same purpose.
 * @param email that it is about to be sent to; the user's own unless given
 * @throws USER_NOT_FOUND
 */
export function issue(
	db: Database,
	purpose: Purpose,
	user_id: string,
	email?: string,
): Promise<string> {
	const token = makeSecretToken();
	return db.transaction(async (tx) => {
		const [owner] = await tx.query(LOCK_OWNER, [user_id, purpose]);
		if (!owner) throwError(users, "USER_NOT_FOUND");
		await tx.query(DROP_OLDER, [user_id, purpose]);
		await tx.query(ISSUE, [digest(token), user_id, email ?? null, purpose, GOOD_FOR[purpose]]);
		return token;
	});
}

/**
 * Revokes every link mailed to a user whose row is locked: verification, new password, pending
 * change of address. Links that undo a change of address stay valid, because a thief changes
 * password and address first.
 */
export const revokeLinks = (tx: Tx, user_id: string): Promise<unknown> =>
	tx.query(REVOKE, [user_id]);

/** Uses a token up. @throws INVALID_TOKEN */
export async function redeem(tx: Queryable, purpose: Purpose, token: string): Promise<Proof> {
	const [proof] = await tx.query<Proof & { [column: string]: unknown }>(REDEEM, [
		digest(token),
		purpose,
	]);
	return proof ?? throwError(users, "INVALID_TOKEN");
}

/** Whose token it is, if it is worth the work that comes before it is used up. @throws INVALID_TOKEN */
export async function ownerOf(db: Queryable, purpose: Purpose, token: string): Promise<string> {
	const [found] = await db.query<{ user_id: string }>(LOOK, [digest(token), purpose]);
	return found?.user_id ?? throwError(users, "INVALID_TOKEN");
}
