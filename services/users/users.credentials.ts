import { type Meta, throwError } from "../../lib/contracts/contract.ts";
import { commonError } from "../../lib/contracts/errors.ts";
import type { HasDatabase } from "../../mixins/database.mixin.ts";
import { users } from "./users.contract.ts";
import { type HashesPasswords, upgradeHash, type VerifiedAccount } from "./users.passwords.ts";
import { emailKeys, fitsBcrypt, passwordForms, type User } from "./users.rules.ts";
import { clearAttempts, countAttempt } from "./users.sign-in-attempts.ts";
import * as statements from "./users.statements.ts";

/**
 * Verifies the password of a sign-in and limits attempts.
 * @throws INVALID_CREDENTIALS, RATE_LIMITED
 */
export async function verifySignIn(
	self: HasDatabase & HashesPasswords,
	email: string,
	password: string,
	address: string | undefined,
): Promise<VerifiedAccount> {
	const attempt = { email: emailKeys(email).canonical, address };
	await countAttempt(self.db, attempt);
	const account = await findByCredentials(self, email, password);
	if (!account?.is_active) throwError(users, "INVALID_CREDENTIALS");
	await upgradeHash(self, account, password);
	await clearAttempts(self.db, attempt);
	return account;
}

/**
 * Verifies the password of the caller. An incorrect one counts as a failed sign-in.
 * @throws UNAUTHENTICATED, WRONG_PASSWORD, RATE_LIMITED
 */
export async function verifyOwnPassword(
	self: HasDatabase & HashesPasswords,
	{ user: caller, address }: Meta,
	password: string,
): Promise<VerifiedAccount> {
	const [own] = await self.db.query<Pick<User, "email">>(statements.FIND_OWN_EMAIL, [caller!.id]);
	if (!own) throw commonError("UNAUTHENTICATED");
	const attempt = { email: emailKeys(own.email).canonical, address };
	await countAttempt(self.db, attempt);
	const account = await findByCredentials(self, own.email, password);
	if (account?.id !== caller!.id) throwError(users, "WRONG_PASSWORD");
	await clearAttempts(self.db, attempt);
	return account;
}

/**
 * Finds the account with this address and password, active or not. Takes the same time for an
 * address without an account.
 */
async function findByCredentials(
	{ db, passwords }: HasDatabase & HashesPasswords,
	email: string,
	password: string,
): Promise<VerifiedAccount | undefined> {
	const { canonical, stored } = emailKeys(email);
	const [account] = await db.query<VerifiedAccount & Record<string, unknown>>(
		statements.FIND_CREDENTIALS,
		[canonical, stored],
	);
	// The number of comparisons for an incorrect password depends on that password alone.
	for (const form of passwordForms(password))
		if (await passwords.matches(form, fitsBcrypt(form) ? account?.hashed_password : undefined))
			return account;
	return undefined;
}
