import { changeRow } from "../../lib/caching/change-row.ts";
import { throwError } from "../../lib/contracts/contract.ts";
import { commonError } from "../../lib/contracts/errors.ts";
import type { Database, Queryable, Statement, Tx } from "../../lib/persistence/database.ts";
import { digest, makeSecretToken } from "../../lib/security/secret-token.ts";
import {
	lockUser,
	publishUpdate,
	rethrowEmailTaken,
	type UserStore,
	updateUser,
} from "./users.accounts.ts";
import { users } from "./users.contract.ts";
import * as statements from "./users.email-changes.statements.ts";
import { type HashesPasswords, publishSessionsEnded } from "./users.passwords.ts";
import { acceptPassword, type Changes, changesOf, type User } from "./users.rules.ts";
import { revokeLinks } from "./users.single-use-tokens.ts";
import { RESTORE_EMAIL } from "./users.statements.ts";

/**
 * Updates the caller's own account. A new address is pending until the link mailed to it is opened;
 * a request for the current address cancels a pending change. Only the e-mail to the new address
 * reveals whether that address has an account.
 * @throws RATE_LIMITED
 */
export async function updateOwnAccount(
	store: UserStore,
	tx: Tx,
	before: User,
	{ email, ...others }: Changes,
): Promise<User> {
	if (email !== undefined) await tx.query(statements.CANCEL, [before.id]);
	if (email !== undefined && email !== before.email) {
		const change = await recordChange(store, tx, before, email, true);
		await store.publish(tx, "user.email_change_requested", before.id, change);
	}
	return updateUser(store, tx, before, others);
}

/**
 * Updates any account for an administrator. A new address takes effect at once and is not verified.
 * @throws EMAIL_TAKEN
 */
export async function updateAsAdministrator(
	store: UserStore,
	tx: Tx,
	before: User,
	changes: Changes,
): Promise<User> {
	const { email } = changes;
	if (email !== undefined && email !== before.email) {
		if (await hasOtherOwner(tx, before.id, email)) throwError(users, "EMAIL_TAKEN");
		await recordChange(store, tx, before, email, false);
	}
	return updateUser(store, tx, before, changes);
}

/**
 * Issues the token for the new address, or null if that address has an account.
 * @returns the token and the new address
 * @throws EMAIL_CHANGE_NOT_FOUND
 */
export function issueConfirmToken(
	db: Database,
	user_id: string,
	change_id: number,
): Promise<{ email: string; token: string | null }> {
	const token = makeSecretToken();
	return db.transaction(async (tx) => {
		await tx.query(statements.LOCK_OWNER, [user_id]);
		const [pending] = await tx.query<{ new_email: string }>(statements.FIND_PENDING, [
			user_id,
			change_id,
		]);
		if (!pending) throwError(users, "EMAIL_CHANGE_NOT_FOUND");
		const email = pending.new_email;
		if (await hasOtherOwner(tx, user_id, email)) return { email, token: null };
		await tx.query(statements.SET_CONFIRM_TOKEN, [change_id, digest(token)]);
		return { email, token };
	});
}

/**
 * Issues the token with which the owner of the former address undoes the change.
 * @returns the token and the former address
 * @throws EMAIL_CHANGE_NOT_FOUND
 */
export function issueUndoToken(
	db: Database,
	user_id: string,
	change_id: number,
): Promise<{ email: string; token: string }> {
	const token = makeSecretToken();
	return db.transaction(async (tx) => {
		await tx.query(statements.LOCK_OWNER, [user_id]);
		const [change] = await tx.query<{ old_email: string }>(statements.SET_UNDO_TOKEN, [
			user_id,
			change_id,
			digest(token),
		]);
		return { email: change?.old_email ?? throwError(users, "EMAIL_CHANGE_NOT_FOUND"), token };
	});
}

/**
 * Gives the account its new address and ends its sessions.
 * @throws INVALID_TOKEN, EMAIL_TAKEN
 */
export async function confirmEmailChange(store: UserStore, token: string): Promise<void> {
	const hash = digest(token);
	const id = await findOwner(store.db, statements.FIND_OWNER_TO_CONFIRM, hash);
	await changeRow(store, id, async (tx) => {
		const owner = await lockUser(tx, id);
		const [change] = await tx.query<{ old_email: string; new_email: string }>(statements.CONFIRM, [
			hash,
			id,
		]);
		if (!change || !owner.is_active || owner.email !== change.old_email)
			throwError(users, "INVALID_TOKEN");
		if (await hasOtherOwner(tx, id, change.new_email)) throwError(users, "EMAIL_TAKEN");
		await updateUser(store, tx, owner, { email: change.new_email, is_verified: true });
	}).catch(rethrowEmailTaken);
}

/**
 * Restores the former address and ends all sessions. Sets a new password, because the person who
 * changed the address had the old one.
 * @throws INVALID_TOKEN, EMAIL_TAKEN
 */
export async function undoEmailChange(
	store: UserStore & HashesPasswords,
	token: string,
	password: string,
): Promise<void> {
	const accepted = acceptPassword(password, "new_password");
	const hash = digest(token);
	// Reject unknown tokens before hashing, which is expensive.
	const id = await findOwner(store.db, statements.FIND_OWNER_TO_UNDO, hash);
	const hashed = await store.passwords.hash(accepted);
	await changeRow(store, id, async (tx) => {
		const owner = await lockUser(tx, id);
		const [undone] = await tx.query<{ old_email: string }>(statements.UNDO, [hash, id]);
		if (!undone || !owner.is_active) throwError(users, "INVALID_TOKEN");
		const email = undone.old_email;
		const values = [id, email, hashed];
		const [restored] = await tx.query<{ token_version: number }>(RESTORE_EMAIL, values);
		await revokeLinks(tx, id);
		const changes = changesOf(owner, { email, is_verified: true });
		await publishUpdate(store, tx, { id, email, is_verified: true }, changes);
		await publishSessionsEnded(store, tx, id, restored!.token_version);
	}).catch(rethrowEmailTaken);
}

/** Records a change of address and publishes it, so that the former address receives a notice. */
async function recordChange(
	store: UserStore,
	tx: Tx,
	{ id, email }: User,
	newEmail: string,
	pending: boolean,
): Promise<{ user_id: string; change_id: number }> {
	const values = [id, email, newEmail, pending];
	const [row] = await tx.query<{ id: number }>(statements.RECORD, values);
	if (!row) throw commonError("RATE_LIMITED", { retry_after: 3600 });
	const change = { user_id: id, change_id: row.id };
	await store.publish(tx, "user.email_change_recorded", id, change);
	return change;
}

/** Whether an address belongs to another user or is reserved for one. */
const hasOtherOwner = async (db: Queryable, user_id: string, email: string): Promise<boolean> =>
	(await db.query(statements.FIND_OTHER_OWNER, [user_id, email])).length > 0;

async function findOwner(db: Queryable, statement: Statement, hash: Buffer): Promise<string> {
	const [owner] = await db.query<{ user_id: string }>(statement, [hash]);
	return owner?.user_id ?? throwError(users, "INVALID_TOKEN");
}
