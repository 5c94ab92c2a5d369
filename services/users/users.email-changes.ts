import { throwError } from "../../lib/contracts/contract.ts";
import { commonError } from "../../lib/contracts/errors.ts";
import { type Database, type Queryable, sql, type Tx } from "../../lib/persistence/database.ts";
import type { Passwords } from "../../lib/security/passwords.ts";
import { digest, makeSecretToken } from "../../lib/security/secret-token.ts";
import { change, changing, lock, orTaken, publishUpdate, type Self } from "./users.accounts.ts";
import { users } from "./users.contract.ts";
import { acceptPassword, type Changes, changesOf, type User } from "./users.rules.ts";
import { revokeLinks } from "./users.single-use-tokens.ts";

interface EmailChange {
	readonly [column: string]: unknown;
	readonly id: number;
	readonly user_id: string;
	readonly old_email: string;
	readonly new_email: string;
}
type Owner = { readonly user_id: string };

const CONFIRM_WITHIN = "interval '48 hours'";
const UNDO_WITHIN = "interval '7 days'";
/** Requests of one user: each sends a mail to an address of the requester's choice. */
const PER_HOUR = 5;
/** A former address stays reserved while its owner may return to it. */
export const RESERVED = `select from email_changes where old_email = $2 and created_at > now() - ${UNDO_WITHIN}`;

const RECORD = sql(
	"record_email_change",
	`with expired as (delete from email_changes where id in (
		select id from email_changes where created_at < now() - ${UNDO_WITHIN} limit 10 for update skip locked))
	insert into email_changes (user_id, old_email, new_email, pending) select $1::uuid, $2::text, $3::text, $4::boolean
	where not $4 or (select count(*) from email_changes where user_id = $1 and created_at > now() - interval '1 hour') < ${PER_HOUR}
	returning id`,
);
const CANCEL = sql(
	"cancel_email_change",
	"update email_changes set pending = false, confirm_hash = null where user_id = $1 and pending",
);
const TAKEN = sql(
	"email_taken",
	`select from users where email = $2 and id <> $1 union all (${RESERVED} and user_id <> $1) limit 1`,
);
const LOCK_OWNER = sql(
	"lock_owner_of_email_change",
	"select id from users where id = $1 for no key update",
);
const PENDING = sql(
	"pending_email_change",
	`select new_email from email_changes where user_id = $1 and id = $2 and pending and created_at > now() - ${CONFIRM_WITHIN}`,
);
const SET_CONFIRM = sql(
	"set_confirm_token",
	"update email_changes set confirm_hash = $2 where id = $1",
);
const SET_UNDO = sql(
	"set_undo_token",
	`update email_changes set undo_hash = $3 where user_id = $1 and id = $2 and created_at > now() - ${UNDO_WITHIN} returning old_email`,
);
const OWNER_TO_CONFIRM = sql(
	"owner_to_confirm",
	`select user_id from email_changes where confirm_hash = $1 and pending and created_at > now() - ${CONFIRM_WITHIN}`,
);
const CONFIRM = sql(
	"confirm_email_change",
	`update email_changes set pending = false, confirm_hash = null where confirm_hash = $1 and user_id = $2 and pending
	returning id, user_id, old_email, new_email`,
);
const OWNER_TO_UNDO = sql(
	"owner_to_undo",
	`select user_id from email_changes where undo_hash = $1 and created_at > now() - ${UNDO_WITHIN}`,
);
/**
 * With all later changes of the user, so that a thief who changed the address twice cannot undo the
 * undoing.
 */
const UNDO = sql(
	"undo_email_change",
	`with first as (select id, user_id, old_email from email_changes where undo_hash = $1 and user_id = $2),
		undone as (delete from email_changes c using first where c.user_id = first.user_id and c.id >= first.id)
	select old_email from first`,
);
const RESTORE = sql(
	"restore_email",
	`update users set email = $2, hashed_password = $3, is_verified = true, token_version = token_version + 1, updated_at = now()
	where id = $1 returning token_version`,
);

/**
 * Changes one's own account. A new address is pending until the link mailed to it is used; the
 * present one cancels a pending change. Whether the new address has an account shows in the mail to
 * it only.
 * @throws RATE_LIMITED
 */
export async function changeOwn(
	self: Self,
	tx: Tx,
	before: User,
	{ email, ...others }: Changes,
): Promise<User> {
	if (email !== undefined) await tx.query(CANCEL, [before.id]);
	if (email !== undefined && email !== before.email) {
		const data = await record(self, tx, before, email, true);
		await self.publish(tx, "user.email_change_requested", before.id, data);
	}
	return change(self, tx, before, others);
}

/** Changes any account. A new address is in force at once, and not verified. @throws EMAIL_TAKEN */
export async function changeAsAdmin(
	self: Self,
	tx: Tx,
	before: User,
	changes: Changes,
): Promise<User> {
	const { email } = changes;
	if (email !== undefined && email !== before.email) {
		if (await isTakenByAnother(tx, before.id, email)) throwError(users, "EMAIL_TAKEN");
		await record(self, tx, before, email, false);
	}
	return change(self, tx, before, changes);
}

/** Writes a change of address down, and has the former address notified. */
async function record(self: Self, tx: Tx, { id, email }: User, newEmail: string, pending: boolean) {
	const [row] = await tx.query<{ id: number }>(RECORD, [id, email, newEmail, pending]);
	if (!row) throw commonError("RATE_LIMITED", { retry_after: 3600 });
	const data = { user_id: id, change_id: row.id };
	await self.publish(tx, "user.email_change_recorded", id, data);
	return data;
}

/** Whether an address belongs to another user, or is reserved for one. */
const isTakenByAnother = async (db: Queryable, user_id: string, email: string): Promise<boolean> =>
	(await db.query(TAKEN, [user_id, email])).length > 0;

/**
 * @returns the new address, and a token unless that address has an account.
 * @throws EMAIL_CHANGE_NOT_FOUND
 */
export function issueConfirmation(
	db: Database,
	user_id: string,
	change_id: number,
): Promise<{ email: string; token: string | null }> {
	const token = makeSecretToken();
	return db.transaction(async (tx) => {
		await tx.query(LOCK_OWNER, [user_id]);
		const [found] = await tx.query<{ new_email: string }>(PENDING, [user_id, change_id]);
		if (!found) throwError(users, "EMAIL_CHANGE_NOT_FOUND");
		if (await isTakenByAnother(tx, user_id, found.new_email))
			return { email: found.new_email, token: null };
		await tx.query(SET_CONFIRM, [change_id, digest(token)]);
		return { email: found.new_email, token };
	});
}

/** @returns the former address, and a token. @throws EMAIL_CHANGE_NOT_FOUND */
export function issueUndo(
	db: Database,
	user_id: string,
	change_id: number,
): Promise<{ email: string; token: string }> {
	const token = makeSecretToken();
	return db.transaction(async (tx) => {
		await tx.query(LOCK_OWNER, [user_id]);
		const [found] = await tx.query<{ old_email: string }>(SET_UNDO, [
			user_id,
			change_id,
			digest(token),
		]);
		return { email: found?.old_email ?? throwError(users, "EMAIL_CHANGE_NOT_FOUND"), token };
	});
}

/**
 * Moves the account to its new address, and ends its sessions.
 * @throws INVALID_TOKEN, EMAIL_TAKEN
 */
export async function confirmEmailChange(self: Self, token: string): Promise<void> {
	const hash = digest(token);
	const id = await ownerOf(self.db, OWNER_TO_CONFIRM, hash);
	await orTaken(
		changing(self, id, async (tx) => {
			const owner = await lock(tx, id);
			const [found] = await tx.query<EmailChange>(CONFIRM, [hash, id]);
			if (!found || !owner.is_active || owner.email !== found.old_email)
				throwError(users, "INVALID_TOKEN");
			if (await isTakenByAnother(tx, id, found.new_email)) throwError(users, "EMAIL_TAKEN");
			await change(self, tx, owner, { email: found.new_email, is_verified: true });
		}),
	);
}

/**
 * Restores the former address, sets a new password, because whoever changed the address knew the
 * old one, and ends every session.
 * @throws INVALID_TOKEN, EMAIL_TAKEN
 */
export async function undoEmailChange(
	self: Self & { passwords: Passwords },
	token: string,
	password: string,
): Promise<void> {
	const accepted = acceptPassword(password, "new_password");
	const hash = digest(token);
	// Hashing is expensive; an unknown token does not get that far.
	const id = await ownerOf(self.db, OWNER_TO_UNDO, hash);
	const hashed = await self.passwords.hash(accepted);
	await orTaken(
		changing(self, id, async (tx) => {
			const owner = await lock(tx, id);
			const [undone] = await tx.query<{ old_email: string }>(UNDO, [hash, id]);
			if (!undone || !owner.is_active) throwError(users, "INVALID_TOKEN");
			const changes = changesOf(owner, { email: undone.old_email, is_verified: true });
			const [restored] = await tx.query<{ token_version: number }>(RESTORE, [
				id,
				undone.old_email,
				hashed,
			]);
			await revokeLinks(tx, id);
			await publishUpdate(self, tx, { id, is_verified: true }, changes);
			await self.publish(tx, "user.access_changed", id, {
				user_id: id,
				token_version: restored!.token_version,
				sessions: "ended",
			});
		}),
	);
}

async function ownerOf(
	db: Queryable,
	statement: typeof OWNER_TO_UNDO,
	hash: Buffer,
): Promise<string> {
	const [found] = await db.query<Owner>(statement, [hash]);
	return found?.user_id ?? throwError(users, "INVALID_TOKEN");
}
