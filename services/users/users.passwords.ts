import { changeRow } from "../../lib/caching/change-row.ts";
import { type ServiceThis, throwError } from "../../lib/contracts/contract.ts";
import type { Tx } from "../../lib/persistence/database.ts";
import { type Passwords, passwords } from "../../lib/security/passwords.ts";
import { envOf } from "../../lib/settings/env.ts";
import type { HasDatabase } from "../../mixins/database.mixin.ts";
import type { HasDurableEvents } from "../../mixins/durable-events.mixin.ts";
import { lockUser, publishUpdate, type UserStore } from "./users.accounts.ts";
import { users } from "./users.contract.ts";
import { acceptPassword, changesOf, fitsBcrypt, type User } from "./users.rules.ts";
import { findTokenOwner, redeemToken, revokeLinks } from "./users.single-use-tokens.ts";
import * as statements from "./users.statements.ts";

/** A service that hashes passwords. */
export interface HashesPasswords {
	readonly passwords: Passwords;
}

/** An account whose password was verified. */
export interface VerifiedAccount extends User {
	readonly hashed_password: string;
	readonly token_version: number;
}

/** Opens the password hasher with the configured cost. */
export function openPasswords({ broker, logger }: ServiceThis): Passwords {
	const opened = passwords({ cost: envOf(broker).BCRYPT_COST });
	const { implementation } = opened;
	if (implementation === "bcryptjs")
		logger.info("The optional package bcrypt is not installed; hashing passwords takes longer", {
			implementation,
		});
	return opened;
}

/** Replaces a hash of another cost, unless the password has changed since it was verified. */
export async function upgradeHash(
	{ db, passwords }: HasDatabase & HashesPasswords,
	{ id, hashed_password }: VerifiedAccount,
	password: string,
): Promise<void> {
	const normalized = password.normalize("NFC");
	if (!passwords.isOutdated(hashed_password) || !fitsBcrypt(normalized)) return;
	const upgraded = await passwords.hash(normalized);
	await db.query(statements.REHASH_PASSWORD, [id, hashed_password, upgraded]);
}

/**
 * Changes the password of a verified account, revokes mailed links and ends all sessions except
 * `session`.
 * @throws VALIDATION_ERROR, and WRONG_PASSWORD if the password has changed since it was verified
 */
export async function changePassword(
	self: UserStore & HashesPasswords,
	{ id, hashed_password }: VerifiedAccount,
	password: string,
	session?: string,
): Promise<void> {
	const hashed = await self.passwords.hash(acceptPassword(password, "new_password"));
	await changeRow(self, id, async (tx) => {
		const values = [id, hashed_password, hashed];
		const [changed] = await tx.query<{ token_version: number }>(statements.CHANGE_PASSWORD, values);
		if (!changed) throwError(users, "WRONG_PASSWORD");
		await revokeLinks(tx, id);
		await publishSessionsEnded(self, tx, id, changed.token_version, session);
	});
}

/**
 * Sets a new password by a mailed token, verifies the address, and ends all sessions.
 * @throws VALIDATION_ERROR, and INVALID_TOKEN also if the user has another address by now
 */
export async function resetPassword(
	self: UserStore & HashesPasswords,
	token: string,
	password: string,
): Promise<void> {
	const accepted = acceptPassword(password, "new_password");
	// Reject unknown tokens before hashing, which is expensive.
	const id = await findTokenOwner(self.db, "password", token);
	const hashed = await self.passwords.hash(accepted);
	await changeRow(self, id, async (tx) => {
		const owner = await lockUser(tx, id);
		const { user_id, email } = await redeemToken(tx, "password", token);
		const values = [user_id, email, hashed];
		const [changed] = await tx.query<{ token_version: number }>(statements.RESET_PASSWORD, values);
		if (!changed) throwError(users, "INVALID_TOKEN");
		await revokeLinks(tx, id);
		const changes = changesOf(owner, { is_verified: true });
		await publishUpdate(self, tx, { ...owner, is_verified: true }, changes);
		await publishSessionsEnded(self, tx, user_id, changed.token_version);
	});
}

/** Publishes that all sessions of a user end, except the session `except`. */
export const publishSessionsEnded = (
	self: HasDurableEvents,
	tx: Tx,
	user_id: string,
	token_version: number,
	except?: string,
): Promise<void> =>
	self.publish(tx, "user.access_changed", user_id, {
		user_id,
		token_version,
		sessions: "ended",
		...(except ? { except } : {}),
	});
