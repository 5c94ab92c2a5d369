import { type ServiceThis, throwError } from "../../lib/contracts/contract.ts";
import { sql, type Tx } from "../../lib/persistence/database.ts";
import { type Passwords, passwords } from "../../lib/security/passwords.ts";
import { envOf } from "../../lib/settings/env.ts";
import type { HasDatabase } from "../../mixins/database.mixin.ts";
import type { HasDurableEvents } from "../../mixins/durable-events.mixin.ts";
import { changing, lock, publishUpdate, type Self as Users } from "./users.accounts.ts";
import { users } from "./users.contract.ts";
import type { Credentials } from "./users.credentials.ts";
import { acceptPassword, changesOf, fitsBcrypt, type User } from "./users.rules.ts";
import { ownerOf, redeem, revokeLinks } from "./users.single-use-tokens.ts";

type Self = Users & { passwords: Passwords };
type Account = Pick<User, "id"> & Credentials;

const REHASH = sql(
	"rehash",
	"update users set hashed_password = $3 where id = $1 and hashed_password = $2",
);
/** Nobody has been faster: the password is still the one that was checked. */
const SET = sql(
	"set_password",
	`update users set hashed_password = $3, token_version = token_version + 1, updated_at = now()
	where id = $1 and hashed_password = $2 returning token_version`,
);
const RESET = sql(
	"reset_password",
	`update users set hashed_password = $3, is_verified = true, token_version = token_version + 1, updated_at = now()
	where id = $1 and email = $2 and is_active returning token_version`,
);

/** Once a minute and address, so that nobody is buried in mails. */
export const REQUEST_RESET = sql(
	"request_reset",
	`with old as (delete from password_reset_requests where email in (
		select email from password_reset_requests where handled_at < now() - interval '1 day' limit 10 for update skip locked))
	insert into password_reset_requests as r (email, traceparent) values ($1, $2)
	on conflict (email) do update set requested_at = now(), handled_at = null, traceparent = excluded.traceparent
		where r.handled_at < now() - interval '1 minute'`,
);
const STEP = 100;
const HANDLE = sql(
	"handle_resets",
	`with due as (update password_reset_requests set handled_at = now() where email in (
		select email from password_reset_requests where handled_at is null order by requested_at limit ${STEP} for update skip locked)
	returning email, traceparent)
	select u.id, due.traceparent from due left join users u on u.email = due.email and u.is_active`,
);
/** Milliseconds. Requests wake this node; those of a node that died are seen here. */
export const RESETS_EVERY = 5000;

export function openPasswords({ broker, logger }: ServiceThis): Passwords {
	const opened = passwords({ cost: envOf(broker).BCRYPT_COST });
	const { implementation } = opened;
	if (implementation === "bcryptjs")
		logger.info("The optional package bcrypt is not installed; passwords take longer to hash", {
			implementation,
		});
	return opened;
}

/** Publishes which users want a new password. Answers whether there may be more. */
export const tellOfResets = (self: HasDatabase & HasDurableEvents): Promise<boolean> =>
	self.db.transaction(async (tx) => {
		const due = await tx.query<{ id: string | null; traceparent: string | undefined }>(HANDLE);
		for (const { id, traceparent } of due)
			if (id)
				await self.publish(tx, "user.password_reset_requested", id, { user_id: id }, traceparent);
		return due.length === STEP;
	});

/** A hash of another cost is made anew. Nothing is written over a password that was changed meanwhile. */
export async function keepUpToDate(
	{ db, passwords }: Self,
	{ id, hashed_password }: Account,
	password: string,
): Promise<void> {
	const normalized = password.normalize("NFC");
	if (!passwords.isOutdated(hashed_password) || !fitsBcrypt(normalized)) return;
	await db.query(REHASH, [id, hashed_password, await passwords.hash(normalized)]);
}

/**
 * @param session in which it is changed; it goes on.
 * @throws VALIDATION_ERROR, WRONG_PASSWORD when the password was changed meanwhile
 */
export async function setPassword(
	self: Self,
	{ id, hashed_password }: Account,
	password: string,
	session?: string,
): Promise<void> {
	const hashed = await self.passwords.hash(acceptPassword(password, "new_password"));
	await changing(self, id, async (tx) => {
		const [changed] = await tx.query<{ token_version: number }>(SET, [id, hashed_password, hashed]);
		if (!changed) throwError(users, "WRONG_PASSWORD");
		await revokeLinks(tx, id);
		await tellOfChange(self, tx, id, changed.token_version, session);
	});
}

/**
 * The token proves as well that the user reads the mail of the address.
 * @throws INVALID_TOKEN, also when the address is not the user's any more
 */
export async function resetPassword(self: Self, token: string, password: string): Promise<void> {
	const accepted = acceptPassword(password, "new_password");
	// Hashing is dear; nonsense does not get that far.
	const id = await ownerOf(self.db, "password", token);
	const hashed = await self.passwords.hash(accepted);
	await changing(self, id, async (tx) => {
		const owner = await lock(tx, id);
		const { user_id, email } = await redeem(tx, "password", token);
		const [changed] = await tx.query<{ token_version: number }>(RESET, [user_id, email, hashed]);
		if (!changed) throwError(users, "INVALID_TOKEN");
		await revokeLinks(tx, id);
		await publishUpdate(self, tx, owner, changesOf(owner, { is_verified: true }));
		await tellOfChange(self, tx, user_id, changed.token_version);
	});
}

const tellOfChange = (
	self: Self,
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
