import { sql } from "../../lib/persistence/database.ts";
import { user } from "./users.contract.ts";
import { RESERVED_ADDRESS } from "./users.email-changes.statements.ts";

/** Columns that a user or an administrator may see. */
const COLUMNS = Object.keys(user).join(", ");

/** Inserts a user unless the address `$2` is taken, or reserved for its former owner. */
export const INSERT_USER = sql(
	"insert_user",
	`insert into users (id, email, full_name, role, is_verified, hashed_password)
	select $1::uuid, $2::text, $3::text, $4::text, $5::boolean, $6::text
	where not exists (${RESERVED_ADDRESS})
	on conflict (email) do nothing returning ${COLUMNS}`,
);

/** Finds the user with the canonical address `$1`. */
export const FIND_BY_EMAIL = sql("by_email", `select ${COLUMNS} from users where email = $1`);

/** Finds users by ID. */
export const FIND_BY_IDS = sql("by_ids", `select ${COLUMNS} from users where id = any($1::uuid[])`);

/** Finds the claims of access tokens by user ID. */
export const FIND_CLAIMS = sql(
	"find_claims",
	"select id, email, role, is_active, token_version from users where id = any($1::uuid[])",
);

/**
 * Finds an account with its password hash by the canonical address `$1` or the stored address `$2`;
 * the stored form has precedence.
 */
export const FIND_CREDENTIALS = sql(
	"find_credentials",
	`select ${COLUMNS}, token_version, hashed_password from users
	where email in ($1, $2) order by email = $2 desc limit 1`,
);

/** Finds the address of an active user. */
export const FIND_OWN_EMAIL = sql(
	"find_own_email",
	"select email from users where id = $1 and is_active",
);

/** Locks a user until the transaction ends. */
export const LOCK_USER = sql("lock_user", `select ${COLUMNS} from users where id = $1 for update`);

/** Updates all changeable fields of a locked user; `$7` is added to the token version. */
export const UPDATE_USER = sql(
	"update_user",
	`update users set email = $2, full_name = $3, role = $4, is_active = $5, is_verified = $6,
		token_version = token_version + $7, updated_at = now()
	where id = $1 returning ${COLUMNS}, token_version`,
);

/** Serializes transactions that decide by the number of administrators. */
export const LOCK_ADMINISTRATORS = sql(
	"lock_administrators",
	"select pg_advisory_xact_lock(hashtext('administrators'))",
);

/** Finds an administrator, preferably the one with the address `$1`. */
export const FIND_ADMINISTRATOR = sql(
	"find_administrator",
	"select email from users where role = 'admin' order by email = $1 desc limit 1",
);

/** Finds an active administrator other than `$1`. */
export const FIND_OTHER_ADMINISTRATOR = sql(
	"find_other_administrator",
	"select id from users where role = 'admin' and is_active and id <> $1 limit 1",
);

/** Replaces the hash of an unchanged password. */
export const REHASH_PASSWORD = sql(
	"rehash_password",
	"update users set hashed_password = $3 where id = $1 and hashed_password = $2",
);

/** Sets a new password unless the password has changed since it was verified. */
export const CHANGE_PASSWORD = sql(
	"change_password",
	`update users set hashed_password = $3, token_version = token_version + 1, updated_at = now()
	where id = $1 and hashed_password = $2 returning token_version`,
);

/** Sets a new password of an active user. The mailed token also verifies the address `$2`. */
export const RESET_PASSWORD = sql(
	"reset_password",
	`update users set hashed_password = $3, is_verified = true, token_version = token_version + 1,
		updated_at = now()
	where id = $1 and email = $2 and is_active returning token_version`,
);

/** Restores a former address and sets a new password. */
export const RESTORE_EMAIL = sql(
	"restore_email",
	`update users set email = $2, hashed_password = $3, is_verified = true,
		token_version = token_version + 1, updated_at = now()
	where id = $1 returning token_version`,
);

/**
 * Records a request for a password reset, at most once per minute and address, and deletes up to 10
 * old requests.
 */
export const REQUEST_PASSWORD_RESET = sql(
	"request_password_reset",
	`with old as (delete from password_reset_requests where email in (
		select email from password_reset_requests where handled_at < now() - interval '1 day'
		limit 10 for update skip locked))
	insert into password_reset_requests as r (email, traceparent) values ($1, $2)
	on conflict (email) do update
		set requested_at = now(), handled_at = null, traceparent = excluded.traceparent
		where r.handled_at < now() - interval '1 minute'`,
);

/** Records that an active, unverified user requests a new link, at most once per minute. */
export const REQUEST_VERIFICATION = sql(
	"request_verification",
	`update users set verification_requested_at = now()
	where id = $1 and is_active and not is_verified
		and coalesce(verification_requested_at < now() - interval '1 minute', true) returning id`,
);

/** Rows that `HANDLE_PASSWORD_RESETS` handles at once. */
export const PASSWORD_RESET_BATCH_SIZE = 100;
/** Marks open requests as handled and returns the active user of each, or null. */
export const HANDLE_PASSWORD_RESETS = sql(
	"handle_password_resets",
	`with due as (
		update password_reset_requests set handled_at = now() where email in (
			select email from password_reset_requests where handled_at is null
			order by requested_at limit ${PASSWORD_RESET_BATCH_SIZE} for update skip locked)
		returning email, traceparent)
	select u.id, due.traceparent from due left join users u on u.email = due.email and u.is_active`,
);

/** Failures without a delay, for typing errors and programs that sign in several times at once. */
const FREE_FAILURES = 10;
/**
 * Upper limit of the delay, which doubles with each further failure. It makes guessing hopeless,
 * and a customer who shares the client address waits no longer than this.
 */
const MAX_DELAY_SECONDS = 60;

const FAILURES = "case when a.at < now() - interval '1 hour' then 0 else a.failures end";
/**
 * Counts an attempt unless the pair of account and client address must wait. The count starts again
 * after an hour without attempts. Deletes up to 10 old counts.
 */
export const COUNT_ATTEMPT = sql(
	"count_attempt",
	`with old as (delete from sign_in_attempts where (email_hash, address) in (
		select email_hash, address from sign_in_attempts
		where at < now() - interval '1 hour' and email_hash <> $1 limit 10 for update skip locked))
	insert into sign_in_attempts as a (email_hash, address) values ($1, $2)
	on conflict (email_hash, address) do update set at = now(), failures = ${FAILURES} + 1,
		next_at = case when ${FAILURES} + 1 < ${FREE_FAILURES} then now()
			else now() + make_interval(secs =>
				least(${MAX_DELAY_SECONDS}, power(2, least(${FAILURES} + 1 - ${FREE_FAILURES}, 10)))) end
		where a.next_at <= now()
	returning failures`,
);

/** Remaining delay of a pair. */
export const REMAINING_DELAY = sql(
	"remaining_delay",
	`select ceil(extract(epoch from next_at - now()))::int as seconds
	from sign_in_attempts where email_hash = $1 and address = $2`,
);

/** Deletes the count of a pair. */
export const CLEAR_ATTEMPTS = sql(
	"clear_attempts",
	"delete from sign_in_attempts where email_hash = $1 and address = $2",
);

/**
 * Serializes issues and changes that revoke links. Finds no deactivated user for a link that sets a
 * password.
 */
export const LOCK_TOKEN_OWNER = sql(
	"lock_token_owner",
	"select id from users where id = $1 and (is_active or $2 = 'email') for no key update",
);

/** Deletes older tokens of the same purpose. */
export const DELETE_OLDER_TOKENS = sql(
	"delete_older_tokens",
	"delete from verifications where user_id = $1 and purpose = $2",
);

/** Inserts a token and deletes up to 10 expired ones, so that they do not accumulate. */
export const INSERT_TOKEN = sql(
	"insert_token",
	`with expired as (delete from verifications where token_hash in (
		select token_hash from verifications where expires_at < now()
		limit 10 for update skip locked))
	insert into verifications (token_hash, user_id, email, purpose, expires_at)
	select $1, id, coalesce($3, email), $4, now() + $5::interval from users where id = $2`,
);

/** Deletes a valid token. */
export const REDEEM_TOKEN = sql(
	"redeem_token",
	`delete from verifications where token_hash = $1 and purpose = $2 and expires_at > now()
	returning user_id, email`,
);

/** Finds the user of a valid token. */
export const FIND_TOKEN_OWNER = sql(
	"find_token_owner",
	`select user_id from verifications
	where token_hash = $1 and purpose = $2 and expires_at > now()`,
);

/** Deletes all tokens of a user and cancels the pending change of address. */
export const REVOKE_LINKS = sql(
	"revoke_links",
	`with links as (delete from verifications where user_id = $1)
	update email_changes set pending = false, confirm_hash = null
	where user_id = $1 and (pending or confirm_hash is not null)`,
);
