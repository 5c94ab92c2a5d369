import { type Cached, cacheOf } from "../../lib/cache.ts";
import { implement, raise, type ServiceThis } from "../../lib/contract.ts";
import { sql, type Tx } from "../../lib/database.ts";
import { commonError } from "../../lib/errors.ts";
import { newId } from "../../lib/id.ts";
import { loop } from "../../lib/loop.ts";
import type { Passwords } from "../../lib/passwords.ts";
import { currentTraceparent } from "../../lib/traceparent.ts";
import { database, type HasDatabase, type HasRecords, records } from "../../mixins/db.mixin.ts";
import { events, type HasEvents } from "../../mixins/events.mixin.ts";
import { user, users } from "./users.contract.ts";
import { defineUser } from "./users.models.ts";
import {
	type Account as Credentials,
	changing,
	keepUpToDate,
	openPasswords,
	REQUEST_RESET,
	RESETS_EVERY,
	resetPassword,
	setPassword,
	tellOfResets,
} from "./users.passwords.ts";
import {
	assertIsSelf,
	assertMayChange,
	assertMaySee,
	assertPasswordFits,
	assertWantsSomething,
	type Changes,
	changesOf,
	endsAdministrator,
	fitsBcrypt,
	sessionsAfter,
	type User,
} from "./users.rules.ts";
import { guarded } from "./users.sign-ins.ts";
import { issue, ownerOf, redeem } from "./users.tokens.ts";

type Self = ServiceThis & HasDatabase & HasEvents & { passwords: Passwords; rows: Cached<User> };
type Identity = Pick<User, "id" | "email" | "role" | "is_active"> & { token_version: number };
type Account = Pick<User, "email" | "full_name" | "role" | "is_verified">;

/** Milliseconds that a row may be kept; changes end that at once. */
const KEPT_MS = 60_000;

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
	`update users set email = $2, full_name = $3, role = $4, is_active = $5, is_verified = $6, token_version = token_version + $7, updated_at = now()
	where id = $1 returning ${COLUMNS}, token_version`,
);
const BY_EMAIL = sql("by_email", `select ${COLUMNS} from users where email = $1`);
const BY_IDS = sql("by_ids", `select ${COLUMNS} from users where id = any($1::uuid[])`);
const IDENTITIES = sql("identities", "select id, email, role, is_active, token_version from users where id = any($1::uuid[])");
const CREDENTIALS = sql("credentials", `select ${COLUMNS}, token_version, hashed_password from users where email = $1`);

const TAKE_TURNS = sql("take_turns", "select pg_advisory_xact_lock(hashtext('administrators'))");
const OTHER_ADMIN = sql("other_admin", "select id from users where role = 'admin' and is_active and id <> $1 limit 1");

/** Unique violation; and the deadlock of two users who take each other's address. */
const isTaken = (error: unknown): boolean => ["23505", "40P01"].includes((error as { code: string }).code);

export default implement(users, database, records<User>(defineUser), events(users)).with({
	setup() {
		return {
			rows: cacheOf(this.broker).of<User>("users", KEPT_MS, user),
			passwords: openPasswords(this),
			resets: loop({
				every: RESETS_EVERY,
				turn: () => tellOfResets(this),
				onError: (error) => this.logger.warn("Requests for new passwords could not be read", { error }),
			}),
		};
	},
	async stop() {
		await this.resets.stop();
		await this.passwords.close();
	},
	actions: {
		async create({ params: { email, password, full_name } }) {
			const created = await register(this, { email, full_name, role: "user", is_verified: false }, password);
			return created ?? raise(users, "EMAIL_TAKEN");
		},

		async verifyEmail({ params: { token } }) {
			const id = await ownerOf(this.db, "email", token);
			await changing(this, id, async (tx) => {
				const { user_id, email } = await redeem(tx, "email", token);
				const owner = await lock(tx, user_id);
				if (owner.email !== email) raise(users, "INVALID_TOKEN");
				await change(this, tx, owner, { is_verified: true });
			});
		},

		async requestPasswordReset({ params: { email } }) {
			await this.db.query(REQUEST_RESET, [email, currentTraceparent()]);
			this.resets.wake();
			return { message: "If there is an account with this address, a link was mailed to it" };
		},

		async resetPassword({ params: { token, new_password } }) {
			await resetPassword(this, token, new_password);
		},

		async changePassword({ params: { id, current_password, new_password }, meta }) {
			assertIsSelf(meta.user!, id);
			assertPasswordFits(new_password, "new_password");
			const [account] = await this.db.query<User>(BY_IDS, [[id]]);
			if (!account?.is_active) throw commonError("UNAUTHENTICATED");
			await guarded(this.db, account.email, meta.address, async () => {
				const found = await credentialsOf(this, account.email, current_password);
				if (found?.id !== id) raise(users, "WRONG_PASSWORD");
				await setPassword(this, found, new_password, meta.user!.session);
			});
		},

		list(ctx) {
			const { skip, limit } = ctx.params;
			return this.listRecords(ctx, { skip, limit, sort: ["id"] });
		},

		async me({ meta }) {
			const found = await find(this, meta.user!.id);
			if (!found?.is_active) throw commonError("UNAUTHENTICATED");
			return found;
		},

		async get({ params: { id }, meta }) {
			assertMaySee(meta.user!, id);
			return (await find(this, id)) ?? raise(users, "USER_NOT_FOUND");
		},

		async update({ params: { id, ...wanted }, meta }) {
			assertMayChange(meta.user!, id, wanted);
			assertWantsSomething(wanted);
			try {
				return await changing(this, id, async (tx) => change(this, tx, await lock(tx, id), wanted));
			} catch (error) {
				if (isTaken(error)) raise(users, "EMAIL_TAKEN");
				throw error;
			}
		},

		async remove({ params: { id } }) {
			await changing(this, id, async (tx) => change(this, tx, await lock(tx, id), { is_active: false }));
		},

		async resolve({ params: { ids } }) {
			return this.rows.through(ids, async (missing) => {
				const rows = await this.db.query<User>(BY_IDS, [missing]);
				const found = new Map(rows.map((row) => [row.id, row]));
				return missing.map((id) => found.get(id) ?? null);
			});
		},

		async identify({ params: { ids } }) {
			const rows = await this.db.query<Identity>(IDENTITIES, [ids]);
			const found = new Map(rows.map((row) => [row.id, row]));
			return ids.map((id) => found.get(id) ?? null);
		},

		authenticate({ params: { email, password }, meta }) {
			return guarded(this.db, email, meta.address, async () => {
				const found = await credentialsOf(this, email, password);
				if (!found?.is_active) raise(users, "INVALID_CREDENTIALS");
				const { hashed_password, ...shown } = found;
				await keepUpToDate(this, found, password);
				return shown;
			});
		},

		async issueVerification({ params: { user_id, email } }) {
			return { token: await issue(this.db, "email", user_id, email) };
		},

		async issuePasswordReset({ params: { user_id, email } }) {
			return { token: await issue(this.db, "password", user_id, email) };
		},

		async seed({ params: { password, ...account } }) {
			const find = async () => (await this.db.query<User>(BY_EMAIL, [account.email]))[0];
			return (await find()) ?? (await register(this, account, password)) ?? (await find())!;
		},
	},
});

/** Whose address and password these are, active or not. Takes as long for an address that nobody has. */
async function credentialsOf(self: Self, email: string, password: string): Promise<(User & Credentials) | undefined> {
	const [account] = await self.db.query<User & Credentials>(CREDENTIALS, [email]);
	const known = fitsBcrypt(password) ? account?.hashed_password : undefined;
	return (await self.passwords.matches(password, known)) ? account : undefined;
}

/** The new user, or undefined when the address is taken, be it by a registration that is only now under way. */
async function register(self: Self, account: Account, password: string): Promise<User | undefined> {
	assertPasswordFits(password);
	const hashed = await self.passwords.hash(password);
	const { email, full_name, role, is_verified } = account;
	return self.db.transaction(async (tx) => {
		const [created] = await tx.query<User>(REGISTER, [newId(), email, full_name, role, is_verified, hashed]);
		if (created) await self.publish(tx, "user.created", created.id, { user_id: created.id, email, full_name });
		return created;
	});
}

/** One user, as every node sees them at this moment. */
async function find({ rows, findRecord }: Self & HasRecords<User>, id: string): Promise<User | null> {
	const [found] = await rows.through([id], async ([id]) => [await findRecord(id!)]);
	return found!;
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
	const sessions = sessionsAfter(changes);
	const [changed] = await tx.query<User & Identity>(CHANGE, [id, email, full_name, role, is_active, is_verified, sessions ? 1 : 0]);
	const { token_version, ...after } = changed!;
	await self.publish(tx, "user.updated", id, { user_id: id, updated_fields });
	if (sessions) await self.publish(tx, "user.access_changed", id, { user_id: id, token_version, sessions });
	return after;
}

/** Administrators go one after the other: two who remove each other at once would both still see the other. */
async function assertAnotherAdmin(tx: Tx, id: string): Promise<void> {
	await tx.query(TAKE_TURNS);
	const [other] = await tx.query(OTHER_ADMIN, [id]);
	if (!other) raise(users, "LAST_ADMIN");
}
