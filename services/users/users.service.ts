import { changeRow } from "../../lib/caching/change-row.ts";
import { cacheOf } from "../../lib/caching/lease-cache.ts";
import { assertNotEmpty } from "../../lib/contracts/changes.ts";
import { throwError } from "../../lib/contracts/contract.ts";
import { commonError, invalidField } from "../../lib/contracts/errors.ts";
import { executeOnce } from "../../lib/idempotency/idempotency.ts";
import { alignRows } from "../../lib/persistence/align-rows.ts";
import { defineService } from "../../lib/service/define-service.ts";
import { database } from "../../mixins/database.mixin.ts";
import { durableEvents } from "../../mixins/durable-events.mixin.ts";
import { idempotency } from "../../mixins/idempotency.mixin.ts";
import { records } from "../../mixins/records.mixin.ts";
import {
	insertUser,
	lockUser,
	type NewAccount,
	rethrowEmailTaken,
	updateUser,
} from "./users.accounts.ts";
import * as addresses from "./users.addresses.statements.ts";
import { addAddress, removeAddress, type SavedAddress, updateAddress } from "./users.addresses.ts";
import { user, users } from "./users.contract.ts";
import { verifyOwnPassword, verifySignIn } from "./users.credentials.ts";
import {
	confirmEmailChange,
	issueConfirmToken,
	issueUndoToken,
	undoEmailChange,
	updateAsAdministrator,
	updateOwnAccount,
} from "./users.email-changes.ts";
import { createFirstAdministrator } from "./users.first-administrator.ts";
import { defineUser } from "./users.models.ts";
import { requestPasswordReset, startPasswordResetPoller } from "./users.password-reset-requests.ts";
import { changePassword, openPasswords, resetPassword } from "./users.passwords.ts";
import {
	acceptChanges,
	acceptEmail,
	acceptName,
	acceptPassword,
	assertCanAccess,
	assertCanChange,
	assertIsSelf,
	emailKeys,
	type User,
} from "./users.rules.ts";
import { selectUsers } from "./users.search.ts";
import { findTokenOwner, issueToken, redeemToken } from "./users.single-use-tokens.ts";
import * as statements from "./users.statements.ts";
import { requestVerification } from "./users.verification-requests.ts";

type Claims = Pick<User, "id" | "email" | "role" | "is_active"> & { token_version: number };

/** Lifetime of a cached user in milliseconds. A change invalidates the entry at once. */
const CACHE_TTL_MS = 60_000;

export default defineService(users)({
	mixins: [database, records<User>(defineUser), durableEvents, idempotency],

	created() {
		return {
			rows: cacheOf(this.broker).of<User>("users", CACHE_TTL_MS, user),
			passwords: openPasswords(this),
			passwordResets: startPasswordResetPoller(this),
		};
	},

	methods: {
		/** Inserts a user with this password. Undefined if the address is taken. */
		async register(
			account: Omit<NewAccount, "hashed_password">,
			password: string,
		): Promise<User | undefined> {
			const hashed_password = await this.passwords.hash(acceptPassword(password));
			return this.db.transaction((tx) => insertUser(this, tx, { ...account, hashed_password }));
		},

		/** Reads a user through the cache. */
		async findUser(id: string): Promise<User | null> {
			const [found] = await this.rows.readThrough([id], async () => [await this.findRecord(id)]);
			return found!;
		},
	},

	async started() {
		await createFirstAdministrator(this);
	},

	async stopped() {
		await this.passwordResets.stop();
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
			const created = await this.register(account, password);
			return created ?? throwError(users, "EMAIL_TAKEN");
		},

		async verifyEmail({ params: { token } }) {
			const id = await findTokenOwner(this.db, "email", token);
			await changeRow(this, id, async (tx) => {
				const owner = await lockUser(tx, id);
				const { email } = await redeemToken(tx, "email", token);
				if (owner.email !== email) throwError(users, "INVALID_TOKEN");
				await updateUser(this, tx, owner, { is_verified: true });
			});
		},

		async requestPasswordReset({ params: { email } }) {
			await requestPasswordReset(this.db, email);
			this.passwordResets.wake();
			return { message: "If an account with this address exists, a link was mailed to it" };
		},

		async resetPassword({ params: { token, new_password } }) {
			await resetPassword(this, token, new_password);
		},

		async changePassword({ params: { id, current_password, new_password }, meta }) {
			assertIsSelf(meta.user!, id);
			acceptPassword(new_password, "new_password");
			const account = await verifyOwnPassword(this, meta, current_password);
			await changePassword(this, account, new_password, meta.user!.session);
		},

		async confirmEmailChange({ params: { token } }) {
			await confirmEmailChange(this, token);
		},

		async undoEmailChange({ params: { token, new_password } }) {
			await undoEmailChange(this, token, new_password);
		},

		list(ctx) {
			const { skip, limit } = ctx.params;
			return this.listRecords(ctx, { skip, limit, sort: ["id"], where: selectUsers(ctx.params) });
		},

		async search(ctx) {
			const { q, limit } = ctx.params;
			const where = selectUsers({ q });
			const countRows = async () => 0;
			const page = { skip: 0, limit, sort: ["id"], where, countRows };
			return (await this.listRecords(ctx, page)).rows.map(({ id }) => id);
		},

		async requestVerification({ meta }) {
			await requestVerification(this, meta.user!.id);
			return { message: "A link to verify your e-mail address was mailed to you" };
		},

		async me({ meta }) {
			const found = await this.findUser(meta.user!.id);
			if (!found?.is_active) throw commonError("UNAUTHENTICATED");
			return found;
		},

		async get({ params: { id }, meta }) {
			assertCanAccess(meta.user!, id);
			return (await this.findUser(id)) ?? throwError(users, "USER_NOT_FOUND");
		},

		async update({ params: { id, current_password, ...requested }, meta }) {
			assertCanChange(meta.user!, id, requested);
			assertNotEmpty(requested);
			const [current] = await this.db.query<User>(statements.FIND_BY_IDS, [[id]]);
			if (!current) throwError(users, "USER_NOT_FOUND");
			const changes = acceptChanges(current, requested);
			if (changes.email !== undefined && changes.email !== current.email)
				await verifyOwnPassword(this, meta, current_password ?? throwPasswordRequired());

			const update = id === meta.user!.id ? updateOwnAccount : updateAsAdministrator;
			return changeRow(this, id, async (tx) => {
				const before = await lockUser(tx, id);
				// The earlier address decided whether the password is required.
				if (changes.email !== undefined && before.email !== current.email)
					throw commonError("PRECONDITION_FAILED");
				return update(this, tx, before, changes);
			}).catch(rethrowEmailTaken);
		},

		async remove({ params: { id } }) {
			await changeRow(this, id, async (tx) => {
				const removed = await updateUser(this, tx, await lockUser(tx, id), { is_active: false });
				await tx.query(addresses.DELETE_ALL, [id]);
				return removed;
			});
		},

		async listAddresses({ params: { id }, meta }) {
			assertCanAccess(meta.user!, id);
			if (!(await this.findUser(id))) throwError(users, "USER_NOT_FOUND");
			return this.db.query<SavedAddress>(addresses.LIST, [id]);
		},

		async addAddress(ctx) {
			const { id, ...fields } = ctx.params;
			assertCanAccess(ctx.meta.user!, id);
			return executeOnce(this.db, ctx, 201, (tx) => addAddress(tx, id, fields));
		},

		async updateAddress({ params: { id, address_id, ...changes }, meta }) {
			assertCanAccess(meta.user!, id);
			assertNotEmpty(changes);
			return updateAddress(this.db, id, address_id, changes);
		},

		async removeAddress({ params: { id, address_id }, meta }) {
			assertCanAccess(meta.user!, id);
			await removeAddress(this.db, id, address_id);
		},

		resolve({ params: { ids } }) {
			return this.rows.readThrough(ids, async (missing) =>
				alignRows(missing, await this.db.query<User>(statements.FIND_BY_IDS, [missing])),
			);
		},

		async findByEmail({ params: { email } }) {
			const { canonical, stored } = emailKeys(email);
			const [found] = await this.db.query<User>(statements.FIND_BY_EMAIL, [canonical]);
			if (found || stored === canonical) return found ?? null;
			return (await this.db.query<User>(statements.FIND_BY_EMAIL, [stored]))[0] ?? null;
		},

		async identify({ params: { ids } }) {
			return alignRows(ids, await this.db.query<Claims>(statements.FIND_CLAIMS, [ids]));
		},

		async authenticate({ params: { email, password }, meta }) {
			const account = await verifySignIn(this, email, password, meta.address);
			const { hashed_password, ...result } = account;
			return result;
		},

		async issueVerification({ params: { user_id, email } }) {
			return { token: await issueToken(this.db, "email", user_id, email) };
		},

		async issuePasswordReset({ params: { user_id, email } }) {
			return { token: await issueToken(this.db, "password", user_id, email) };
		},

		issueEmailChange({ params: { user_id, change_id } }) {
			return issueConfirmToken(this.db, user_id, change_id);
		},

		issueEmailChangeUndo({ params: { user_id, change_id } }) {
			return issueUndoToken(this.db, user_id, change_id);
		},

		async seed({ params: { password, ...account } }) {
			const email = acceptEmail(account.email);
			const findExisting = async () =>
				(await this.db.query<User>(statements.FIND_BY_EMAIL, [email]))[0];
			const existing = await findExisting();
			if (existing) return existing;
			const created = await this.register({ ...account, email }, password);
			// A concurrent registration may have taken the address.
			return created ?? (await findExisting())!;
		},
	},
});

function throwPasswordRequired(): never {
	throw invalidField(
		"current_password",
		"REQUIRED",
		"Changing the e-mail address requires your current password",
	);
}
