import { type Meta, throwError } from "../../lib/contracts/contract.ts";
import { commonError } from "../../lib/contracts/errors.ts";
import { type Database, sql } from "../../lib/persistence/database.ts";
import type { Passwords } from "../../lib/security/passwords.ts";
import { COLUMNS } from "./users.accounts.ts";
import { users } from "./users.contract.ts";
import { emailKeys, fitsBcrypt, passwordForms, type User } from "./users.rules.ts";
import { limitSignIns } from "./users.sign-in-attempts.ts";

interface Self {
	readonly db: Database;
	readonly passwords: Passwords;
}
export interface Credentials {
	readonly hashed_password: string;
	readonly token_version: number;
}

const BY_EMAIL = sql(
	"credentials",
	`select ${COLUMNS}, token_version, hashed_password from users where email in ($1, $2) order by email = $2 desc limit 1`,
);
const OWN_EMAIL = sql("own_email", "select email from users where id = $1 and is_active");

/**
 * The account with this address and password, active or not. Takes as long for an address without
 * an account.
 */
export async function credentialsOf(
	{ db, passwords }: Self,
	email: string,
	password: string,
): Promise<(User & Credentials) | undefined> {
	const { canonical, stored } = emailKeys(email);
	const [account] = await db.query<User & Credentials>(BY_EMAIL, [canonical, stored]);
	// The number of comparisons for a wrong password depends on that password alone.
	for (const form of passwordForms(password))
		if (await passwords.matches(form, fitsBcrypt(form) ? account?.hashed_password : undefined))
			return account;
	return undefined;
}

/**
 * The caller's account, if this is its password. Wrong ones count as failed sign-ins.
 * @throws UNAUTHENTICATED, WRONG_PASSWORD, RATE_LIMITED
 */
export async function passwordOfCaller(
	self: Self,
	{ user, address }: Meta,
	password: string,
): Promise<User & Credentials> {
	const [own] = await self.db.query<Pick<User, "email">>(OWN_EMAIL, [user!.id]);
	if (!own) throw commonError("UNAUTHENTICATED");
	return limitSignIns(self.db, emailKeys(own.email).canonical, address, async () => {
		const found = await credentialsOf(self, own.email, password);
		return found?.id === user!.id ? found : throwError(users, "WRONG_PASSWORD");
	});
}
