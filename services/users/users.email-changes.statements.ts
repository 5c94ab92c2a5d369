import { sql } from "../../lib/persistence/database.ts";

const CONFIRMABLE_FOR = "interval '48 hours'";
const UNDOABLE_FOR = "interval '7 days'";
/** Limit per user, because each request sends an e-mail to an address of the user's choice. */
const REQUESTS_PER_HOUR = 5;

/** The former address `$2` is reserved while its owner may undo the change. */
export const RESERVED_ADDRESS = `select from email_changes
	where old_email = $2 and created_at > now() - ${UNDOABLE_FOR}`;

/**
 * Inserts a change, unless it is pending (`$4`) and the user has reached the limit per hour.
 * Deletes up to 10 expired changes.
 */
export const RECORD = sql(
	"record_email_change",
	`with expired as (delete from email_changes where id in (
		select id from email_changes where created_at < now() - ${UNDOABLE_FOR}
		limit 10 for update skip locked))
	insert into email_changes (user_id, old_email, new_email, pending)
	select $1::uuid, $2::text, $3::text, $4::boolean
	where not $4 or ${REQUESTS_PER_HOUR} > (
		select count(*) from email_changes
		where user_id = $1 and created_at > now() - interval '1 hour')
	returning id`,
);

/** Cancels the pending change of a user. */
export const CANCEL = sql(
	"cancel_email_change",
	`update email_changes set pending = false, confirm_hash = null where user_id = $1 and pending`,
);

/** Finds another user than `$1` with the address `$2` or a reservation for it. */
export const FIND_OTHER_OWNER = sql(
	"find_other_owner_of_email",
	`select from users where email = $2 and id <> $1
	union all (${RESERVED_ADDRESS} and user_id <> $1) limit 1`,
);

/** Serializes changes of a user's links with those of the account. */
export const LOCK_OWNER = sql(
	"lock_owner_of_email_change",
	"select id from users where id = $1 for no key update",
);

/** Finds the new address of a pending change. */
export const FIND_PENDING = sql(
	"find_pending_email_change",
	`select new_email from email_changes
	where user_id = $1 and id = $2 and pending and created_at > now() - ${CONFIRMABLE_FOR}`,
);

/** Stores the digest of the token mailed to the new address. */
export const SET_CONFIRM_TOKEN = sql(
	"set_confirm_token",
	"update email_changes set confirm_hash = $2 where id = $1",
);

/** Stores the digest of the token mailed to the former address, and returns that address. */
export const SET_UNDO_TOKEN = sql(
	"set_undo_token",
	`update email_changes set undo_hash = $3
	where user_id = $1 and id = $2 and created_at > now() - ${UNDOABLE_FOR} returning old_email`,
);

/** Finds the user whose pending change the token confirms. */
export const FIND_OWNER_TO_CONFIRM = sql(
	"find_owner_to_confirm",
	`select user_id from email_changes
	where confirm_hash = $1 and pending and created_at > now() - ${CONFIRMABLE_FOR}`,
);

/** Ends a pending change by its token. */
export const CONFIRM = sql(
	"confirm_email_change",
	`update email_changes set pending = false, confirm_hash = null
	where confirm_hash = $1 and user_id = $2 and pending returning old_email, new_email`,
);

/** Finds the user whose change the token undoes. */
export const FIND_OWNER_TO_UNDO = sql(
	"find_owner_to_undo",
	`select user_id from email_changes
	where undo_hash = $1 and created_at > now() - ${UNDOABLE_FOR}`,
);

/**
 * Deletes a change and all later changes of the user, so that an attacker who changed the address
 * twice cannot undo the undoing. Returns the address before the change.
 */
export const UNDO = sql(
	"undo_email_change",
	`with first as (
			select id, user_id, old_email from email_changes where undo_hash = $1 and user_id = $2),
		undone as (
			delete from email_changes c using first where c.user_id = first.user_id and c.id >= first.id)
	select old_email from first`,
);
