import { startPoller } from "../../lib/async/poller.ts";
import { cacheOf } from "../../lib/caching/lease-cache.ts";
import { currentTraceparent } from "../../lib/context/traceparent.ts";
import { implement, throwError } from "../../lib/contracts/contract.ts";
import { commonError, invalidField } from "../../lib/contracts/errors.ts";
import { sql, type Tx } from "../../lib/persistence/database.ts";
import { newId } from "../../lib/persistence/id.ts";
import type { Passwords } from "../../lib/security/passwords.ts";
import { database, type HasRecords, records } from "../../mixins/database.mixin.ts";
import { durableEvents } from "../../mixins/durable-events.mixin.ts";
import { COLUMNS, change, changing, lock, orTaken, type Self as Users } from "./users.accounts.ts";
import { user, users } from "./users.contract.ts";
import { credentialsOf, passwordOfCaller } from "./users.credentials.ts";
import {
	changeAsAdmin,
	changeOwn,
	confirmEmailChange,
	issueConfirmation,
	issueUndo,
	RESERVED,
	undoEmailChange,
} from "./users.email-changes.ts";
import { createFirstAdministrator } from "./users.first-administrator.ts";
import { defineUser } from "./users.models.ts";
import {
	keepUpToDate,
	openPasswords,
	REQUEST_RESET,
	RESETS_EVERY,
	resetPassword,
	setPassword,
	tellOfResets,
} from "./users.passwords.ts";
import {
	acceptChanges,
	acceptEmail,
	acceptName,
	acceptPassword,
	assertIsSelf,
	assertMayChange,
	assertMaySee,
	assertWantsSomething,
	emailKeys,
	type User,
} from "./users.rules.ts";
import { limitSignIns } from "./users.sign-in-attempts.ts";
import { issue, ownerOf, redeem } from "./users.single-use-tokens.ts";

type Self = Users & { passwords: Passwords };
type Identity = Pick<User, "id" | "email" | "role" | "is_active"> & { token_version: number };
type Account = Pick<User, "email" | "full_name" | "role" | "is_verified">;

/** Milliseconds that a row may be kept; changes end that at once. */
const KEPT_MS = 60_000;

const REGISTER = sql(
	"register",
	`insert into users (id, email, full_name, role, is_verified, hashed_password)
	select $1::uuid, $2::text, $3::text, $4::text, $5::boolean, $6::text where not exists (${RESERVED})
	on conflict (email) do nothing returning ${COLUMNS}`,
);
const BY_EMAIL = sql("by_email", `select ${COLUMNS} from users where email = $1`);
const BY_IDS = sql("by_ids", `select ${COLUMNS} from users where id = any($1::uuid[])`);
const IDENTITIES = sql(
	"identities",
	"select id, email, role, is_active, token_version from users where id = any($1::uuid[])",
);

export default implement(users, database, records<User>(defineUser), durableEvents).with({
	setup() {
		return {
			rows: cacheOf(this.broker).of<User>("users", KEPT_MS, user),
			passwords: openPasswords(this),
			resets: startPoller({
				intervalMs: RESETS_EVERY,
				poll: () => tellOfResets(this),
				onError: (error) =>
					this.logger.warn("Requests for new passwords could not be read", { error }),
			}),
		};
	},
	async ready() {
		await createFirstAdministrator(this, (account, password, mayCreate) =>
			register(this, account, password, mayCreate),
		);
	},
	async stop() {
		await this.resets.stop();
		await this.passwords.close();
	},
	actions: {
		async create({ params: { email, password, full_name } }) {
			const account = {
				email: acceptEmail(email),
				full_name: acceptName(full_name),
				role: "user",
				is_verified: false,
			} as const;
			const created = await register(this, account, password);
			return created ?? throwError(users, "EMAIL_TAKEN");
		},

		async verifyEmail({ params: { token } }) {
			const id = await ownerOf(this.db, "email", token);
			await changing(this, id, async (tx) => {
				const owner = await lock(tx, id);
				const { email } = await redeem(tx, "email", token);
				if (owner.email !== email) throwError(users, "INVALID_TOKEN");
				await change(this, tx, owner, { is_verified: true });
			});
		},

		async requestPasswordReset({ params: { email } }) {
			await this.db.query(REQUEST_RESET, [emailKeys(email).canonical, currentTraceparent()]);
			this.resets.wake();
			return { message: "If there is an account with this address, a link was mailed to it" };
		},

		async resetPassword({ params: { token, new_password } }) {
			await resetPassword(this, token, new_password);
		},

		async changePassword({ params: { id, current_password, new_password }, meta }) {
			assertIsSelf(meta.user!, id);
			acceptPassword(new_password, "new_password");
			await setPassword(
				this,
				await passwordOfCaller(this, meta, current_password),
				new_password,
				meta.user!.session,
			);
		},

		async confirmEmailChange({ params: { token } }) {
			await confirmEmailChange(this, token);
		},

		async undoEmailChange({ params: { token, new_password } }) {
			await undoEmailChange(this, token, new_password);
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
			return (await find(this, id)) ?? throwError(users, "USER_NOT_FOUND");
		},

		async update({ params: { id, current_password, ...wanted }, meta }) {
			assertMayChange(meta.user!, id, wanted);
			assertWantsSomething(wanted);
			const [present] = await this.db.query<User>(BY_IDS, [[id]]);
			if (!present) throwError(users, "USER_NOT_FOUND");
			const changes = acceptChanges(present, wanted);
			if (changes.email !== undefined && changes.email !== present.email) {
				if (current_password === undefined)
					throw invalidField(
						"current_password",
						"REQUIRED",
						"Another e-mail address requires your current password",
					);
				await passwordOfCaller(this, meta, current_password);
			}
			const update = id === meta.user!.id ? changeOwn : changeAsAdmin;
			return orTaken(
				changing(this, id, async (tx) => {
					const before = await lock(tx, id);
					// The password was required, or not, by comparison with the address of then.
					if (changes.email !== undefined && before.email !== present.email)
						throw commonError("PRECONDITION_FAILED");
					return update(this, tx, before, changes);
				}),
			);
		},

		async remove({ params: { id } }) {
			await changing(this, id, async (tx) =>
				change(this, tx, await lock(tx, id), { is_active: false }),
			);
		},

		async resolve({ params: { ids } }) {
			return this.rows.readThrough(ids, async (missing) => {
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
			return limitSignIns(this.db, emailKeys(email).canonical, meta.address, async () => {
				const found = await credentialsOf(this, email, password);
				if (!found?.is_active) throwError(users, "INVALID_CREDENTIALS");
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

		async issueEmailChange({ params: { user_id, change_id } }) {
			return issueConfirmation(this.db, user_id, change_id);
		},

		async issueEmailChangeUndo({ params: { user_id, change_id } }) {
			return issueUndo(this.db, user_id, change_id);
		},

		async seed({ params: { password, ...account } }) {
			const email = acceptEmail(account.email);
			const find = async () => (await this.db.query<User>(BY_EMAIL, [email]))[0];
			return (
				(await find()) ?? (await register(this, { ...account, email }, password)) ?? (await find())!
			);
		},
	},
});

/** The new user, or undefined if `mayCreate` forbids it or the address is taken, possibly by a concurrent registration. */
async function register(
	self: Self,
	account: Account,
	password: string,
	mayCreate: (tx: Tx) => Promise<boolean> = async () => true,
): Promise<User | undefined> {
	const hashed = await self.passwords.hash(acceptPassword(password));
	const { email, full_name, role, is_verified } = account;
	return self.db.transaction(async (tx) => {
		if (!(await mayCreate(tx))) return undefined;
		const [created] = await tx.query<User>(REGISTER, [
			newId(),
			email,
			full_name,
			role,
			is_verified,
			hashed,
		]);
		if (created)
			await self.publish(tx, "user.created", created.id, { user_id: created.id, email, full_name });
		return created;
	});
}

/** One user, as every node sees them at this moment. */
async function find(
	{ rows, findRecord }: Self & HasRecords<User>,
	id: string,
): Promise<User | null> {
	const [found] = await rows.readThrough([id], async ([id]) => [await findRecord(id!)]);
	return found!;
}
