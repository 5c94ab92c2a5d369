import { v7 as uuid } from "uuid";
import { implement, raise, type ServiceThis } from "../../lib/contract.ts";
import { sql, type Tx } from "../../lib/database.ts";
import { envOf } from "../../lib/env.ts";
import { commonError } from "../../lib/errors.ts";
import { type Passwords, passwords } from "../../lib/passwords.ts";
import { digest, makeSecretToken } from "../../lib/secret-token.ts";
import { database, type HasDatabase, records } from "../../mixins/db.mixin.ts";
import { events, type HasEvents } from "../../mixins/events.mixin.ts";
import { user, users } from "./users.contract.ts";
import { defineUser } from "./users.models.ts";
import {
	assertMayChange,
	assertMaySee,
	assertPasswordFits,
	assertWantsSomething,
	type Changes,
	changesOf,
	endsAdministrator,
	fitsBcrypt,
	type User,
} from "./users.rules.ts";

type Self = ServiceThis & HasDatabase & HasEvents & { passwords: Passwords };
type Account = Pick<User, "email" | "full_name" | "role" | "is_verified">;

/** What anybody may be shown of a user. */
const COLUMNS = Object.keys(user).join(", ");

const REGISTER = sql(
	"register",
	`insert into users (id, email, full_name, role, is_verified, hashed_password) values ($1, $2, $3, $4, $5, $6)
	on conflict (email) do nothing returning ${COLUMNS}`,
);
const LOCK = sql("lock", `select ${COLUMNS} from users where id = $1 for update`);
const CHANGE = sql(
	"change",
	`update users set email = $2, full_name = $3, role = $4, is_active = $5, is_verified = $6, updated_at = now()
	where id = $1 returning ${COLUMNS}`,
);
const BY_EMAIL = sql("by_email", `select ${COLUMNS} from users where email = $1`);
const BY_IDS = sql("by_ids", `select ${COLUMNS} from users where id = any($1::uuid[])`);
const CREDENTIALS = sql("credentials", `select ${COLUMNS}, hashed_password from users where email = $1`);
const REHASH = sql("rehash", "update users set hashed_password = $3 where id = $1 and hashed_password = $2");

const TAKE_TURNS = sql("take_turns", "select pg_advisory_xact_lock(hashtext('administrators'))");
const OTHER_ADMIN = sql("other_admin", "select id from users where role = 'admin' and is_active and id <> $1 limit 1");

/** Takes some expired tokens away as it adds one, so that they cannot pile up. */
const ISSUE = sql(
	"issue",
	`with expired as (delete from verifications where token_hash in (
		select token_hash from verifications where expires_at < now() limit 10 for update skip locked))
	insert into verifications (token_hash, user_id, email, expires_at)
	select $1, id, coalesce($3, email), now() + interval '48 hours' from users where id = $2 returning user_id`,
);
const REDEEM = sql("redeem", "delete from verifications where token_hash = $1 and expires_at > now() returning user_id, email");

/** Unique violation; and the deadlock of two users who take each other's address. */
const isTaken = (error: unknown): boolean => ["23505", "40P01"].includes((error as { code: string }).code);

export default implement(users, database, records<User>(defineUser), events(users)).with({
	setup() {
		return { passwords: passwords({ cost: envOf(this.broker).BCRYPT_COST }) };
	},
	stop() {
		return this.passwords.close();
	},
	actions: {
		async create({ params: { email, password, full_name } }) {
			const created = await register(this, { email, full_name, role: "user", is_verified: false }, password);
			return created ?? raise(users, "EMAIL_TAKEN");
		},

		async verifyEmail({ params: { token } }) {
			await this.db.transaction(async (tx) => {
				const [proof] = await tx.query<{ user_id: string; email: string }>(REDEEM, [digest(token)]);
				if (!proof) raise(users, "INVALID_TOKEN");
				const owner = await lock(tx, proof.user_id);
				if (owner.email !== proof.email) raise(users, "INVALID_TOKEN");
				await change(this, tx, owner, { is_verified: true });
			});
		},

		list(ctx) {
			const { skip, limit } = ctx.params;
			return this.listRecords(ctx, { skip, limit, sort: ["id"] });
		},

		async me({ meta }) {
			const found = await this.findRecord(meta.user!.id);
			if (!found?.is_active) throw commonError("UNAUTHENTICATED");
			return found;
		},

		async get({ params: { id }, meta }) {
			assertMaySee(meta.user!, id);
			return (await this.findRecord(id)) ?? raise(users, "USER_NOT_FOUND");
		},

		async update({ params: { id, ...wanted }, meta }) {
			assertMayChange(meta.user!, id, wanted);
			assertWantsSomething(wanted);
			try {
				return await this.db.transaction(async (tx) => change(this, tx, await lock(tx, id), wanted));
			} catch (error) {
				if (isTaken(error)) raise(users, "EMAIL_TAKEN");
				throw error;
			}
		},

		async remove({ params: { id } }) {
			await this.db.transaction(async (tx) => change(this, tx, await lock(tx, id), { is_active: false }));
		},

		async resolve({ params: { ids } }) {
			const rows = await this.db.query<User>(BY_IDS, [ids]);
			const found = new Map(rows.map((row) => [row.id, row]));
			return ids.map((id) => found.get(id) ?? null);
		},

		async authenticate({ params: { email, password } }) {
			const [account] = await this.db.query<User & { hashed_password: string }>(CREDENTIALS, [email]);
			const known = fitsBcrypt(password) ? account?.hashed_password : undefined;
			const matches = await this.passwords.matches(password, known);
			if (!matches || !account?.is_active) raise(users, "INVALID_CREDENTIALS");
			const { hashed_password, ...found } = account;
			if (this.passwords.isOutdated(hashed_password)) {
				// Nothing is written over a password that was changed meanwhile.
				await this.db.query(REHASH, [found.id, hashed_password, await this.passwords.hash(password)]);
			}
			return found;
		},

		async issueVerification({ params: { user_id, email } }) {
			const token = makeSecretToken();
			const issued = await this.db.query(ISSUE, [digest(token), user_id, email ?? null]);
			return issued.length > 0 ? { token } : raise(users, "USER_NOT_FOUND");
		},

		async seed({ params: { password, ...account } }) {
			const find = async () => (await this.db.query<User>(BY_EMAIL, [account.email]))[0];
			return (await find()) ?? (await register(this, account, password)) ?? (await find())!;
		},
	},
});

/** The new user, or undefined when the address is taken, be it by a registration that is only now under way. */
async function register(self: Self, account: Account, password: string): Promise<User | undefined> {
	assertPasswordFits(password);
	const hashed = await self.passwords.hash(password);
	const { email, full_name, role, is_verified } = account;
	return self.db.transaction(async (tx) => {
		const [created] = await tx.query<User>(REGISTER, [uuid(), email, full_name, role, is_verified, hashed]);
		if (created) await self.publish(tx, "user.created", created.id, { user_id: created.id, email, full_name });
		return created;
	});
}

/** Holds the user until the transaction ends. */
async function lock(tx: Tx, id: string): Promise<User> {
	const [found] = await tx.query<User>(LOCK, [id]);
	return found ?? raise(users, "USER_NOT_FOUND");
}

/** Makes a locked user as wanted; what is so already is neither written nor told. */
async function change(self: Self, tx: Tx, before: User, wanted: Changes): Promise<User> {
	const changes = changesOf(before, wanted);
	const updated_fields = Object.keys(changes);
	if (updated_fields.length === 0) return before;
	if (endsAdministrator(before, changes)) await assertAnotherAdmin(tx, before.id);
	const { id, email, full_name, role, is_active, is_verified } = { ...before, ...changes };
	const [after] = await tx.query<User>(CHANGE, [id, email, full_name, role, is_active, is_verified]);
	await self.publish(tx, "user.updated", id, { user_id: id, updated_fields });
	return after!;
}

/** Administrators go one after the other: two who remove each other at once would both still see the other. */
async function assertAnotherAdmin(tx: Tx, id: string): Promise<void> {
	await tx.query(TAKE_TURNS);
	const [other] = await tx.query(OTHER_ADMIN, [id]);
	if (!other) raise(users, "LAST_ADMIN");
}
