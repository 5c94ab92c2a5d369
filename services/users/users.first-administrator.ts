import type { ServiceThis } from "../../lib/contracts/contract.ts";
import type { Queryable } from "../../lib/persistence/database.ts";
import { StartError } from "../../lib/process/start-error.ts";
import { envOf } from "../../lib/settings/env.ts";
import { insertUser, type UserStore } from "./users.accounts.ts";
import type { HashesPasswords } from "./users.passwords.ts";
import { acceptPassword, fitsBcrypt, type User } from "./users.rules.ts";
import * as statements from "./users.statements.ts";

/**
 * Creates the administrator of ADMIN_EMAIL and ADMIN_PASSWORD unless an administrator exists. Call
 * it before the service is available to others, so that a healthy shop has its administrator.
 * @throws StartError if bcrypt cannot hash the password
 */
export async function createFirstAdministrator(
	self: ServiceThis & UserStore & HashesPasswords,
): Promise<void> {
	const { db, broker, logger } = self;
	const { ADMIN_EMAIL: email, ADMIN_PASSWORD: password } = envOf(broker);
	if (!password) return;
	if (!fitsBcrypt(password))
		throw new StartError("ADMIN_PASSWORD is longer than 72 bytes: set it to a shorter password");

	const existing = await findAdministrator(db, email);
	if (existing) {
		if (existing.email !== email)
			logger.warn(
				"ADMIN_EMAIL is ignored because the shop already has an administrator, who can give " +
					"another user the role admin",
				{ email },
			);
		return;
	}

	const hashed_password = await self.passwords.hash(acceptPassword(password));
	const created = await db.transaction(async (tx) => {
		// Another node may have created its administrator while this one hashed the password.
		await tx.query(statements.LOCK_ADMINISTRATORS);
		if (await findAdministrator(tx, email)) return undefined;
		return insertUser(self, tx, {
			email,
			full_name: "Administrator",
			role: "admin",
			is_verified: true,
			hashed_password,
		});
	});

	if (created) logger.info("The first administrator was created", { email });
	else if (!(await findAdministrator(db, email)))
		// The owner of that account chose its password, so it must not get the role.
		logger.warn(
			"No administrator was created because ADMIN_EMAIL belongs to a customer: set ADMIN_EMAIL " +
				"to another address",
			{ email },
		);
}

const findAdministrator = async (
	db: Queryable,
	email: string,
): Promise<Pick<User, "email"> | undefined> =>
	(await db.query<Pick<User, "email">>(statements.FIND_ADMINISTRATOR, [email]))[0];
