import { raise } from "../../lib/contract.ts";
import { type Queryable, sql } from "../../lib/database.ts";
import { digest, makeSecretToken } from "../../lib/secret-token.ts";
import { users } from "./users.contract.ts";

type Purpose = "email" | "password";
/** What a token proves: that whoever brings it reads the mail of this address. */
export interface Proof {
	readonly user_id: string;
	readonly email: string;
}

const GOOD_FOR: Record<Purpose, string> = { email: "48 hours", password: "1 hour" };

/** Takes some expired tokens away as it adds one, so that they cannot pile up. Who is deactivated gets no new password. */
const ISSUE = sql(
	"issue",
	`with expired as (delete from verifications where token_hash in (
		select token_hash from verifications where expires_at < now() limit 10 for update skip locked))
	insert into verifications (token_hash, user_id, email, purpose, expires_at)
	select $1, id, coalesce($3, email), $4, now() + $5::interval from users where id = $2 and (is_active or $4 = 'email') returning user_id`,
);
const REDEEM = sql(
	"redeem",
	"delete from verifications where token_hash = $1 and purpose = $2 and expires_at > now() returning user_id, email",
);
const LOOK = sql("look", "select user_id from verifications where token_hash = $1 and purpose = $2 and expires_at > now()");

/** @param email that it is about to be sent to; the user's own unless given. @throws USER_NOT_FOUND */
export async function issue(db: Queryable, purpose: Purpose, user_id: string, email?: string): Promise<string> {
	const token = makeSecretToken();
	const issued = await db.query(ISSUE, [digest(token), user_id, email ?? null, purpose, GOOD_FOR[purpose]]);
	return issued.length > 0 ? token : raise(users, "USER_NOT_FOUND");
}

/** Uses a token up. @throws INVALID_TOKEN */
export async function redeem(tx: Queryable, purpose: Purpose, token: string): Promise<Proof> {
	const [proof] = await tx.query<Proof & { [column: string]: unknown }>(REDEEM, [digest(token), purpose]);
	return proof ?? raise(users, "INVALID_TOKEN");
}

/** Whose token it is, if it is worth the work that comes before it is used up. @throws INVALID_TOKEN */
export async function ownerOf(db: Queryable, purpose: Purpose, token: string): Promise<string> {
	const [found] = await db.query<{ user_id: string }>(LOOK, [digest(token), purpose]);
	return found?.user_id ?? raise(users, "INVALID_TOKEN");
}
