import type { Cached } from "../../lib/caching/lease-cache.ts";
import { type ServiceThis, throwError } from "../../lib/contracts/contract.ts";
import { sql, type Tx } from "../../lib/persistence/database.ts";
import type { HasDatabase } from "../../mixins/database.mixin.ts";
import type { HasDurableEvents } from "../../mixins/durable-events.mixin.ts";
import { user, users } from "./users.contract.ts";
import { hasOtherAdministrator } from "./users.first-administrator.ts";
import {
	type Changes,
	changesOf,
	endsAdministrator,
	revokesLinks,
	sessionsAfter,
	type User,
} from "./users.rules.ts";
import { revokeLinks } from "./users.single-use-tokens.ts";

export type Self = ServiceThis & HasDatabase & HasDurableEvents & { rows: Cached<User> };

/** What anybody may be shown of a user. */
export const COLUMNS = Object.keys(user).join(", ");

const LOCK = sql("lock", `select ${COLUMNS} from users where id = $1 for update`);
const CHANGE = sql(
	"change",
	`update users set email = $2, full_name = $3, role = $4, is_active = $5, is_verified = $6, token_version = token_version + $7, updated_at = now()
	where id = $1 returning ${COLUMNS}, token_version`,
);

/** Changes one user, for all readers at once. */
export const changing = <R>(
	{ db, rows }: Pick<Self, "db" | "rows">,
	id: string,
	change: (tx: Tx) => Promise<R>,
): Promise<R> => rows.whileInvalidated([id], () => db.transaction(change));

/** Holds the user until the transaction ends. @throws USER_NOT_FOUND */
export async function lock(tx: Tx, id: string): Promise<User> {
	const [found] = await tx.query<User>(LOCK, [id]);
	return found ?? throwError(users, "USER_NOT_FOUND");
}

/** Makes a locked user as wanted; what is so already is neither written nor told. */
export async function change(self: Self, tx: Tx, before: User, wanted: Changes): Promise<User> {
	const changes = changesOf(before, wanted);
	if (Object.keys(changes).length === 0) return before;
	if (endsAdministrator(before, changes) && !(await hasOtherAdministrator(tx, before.id)))
		throwError(users, "LAST_ADMIN");
	const { id, email, full_name, role, is_active, is_verified } = { ...before, ...changes };
	const sessions = sessionsAfter(changes);
	const [changed] = await tx.query<User & { token_version: number }>(CHANGE, [
		id,
		email,
		full_name,
		role,
		is_active,
		is_verified,
		sessions ? 1 : 0,
	]);
	const { token_version, ...after } = changed!;
	if (revokesLinks(changes)) await revokeLinks(tx, id);
	await publishUpdate(self, tx, after, changes);
	if (sessions)
		await self.publish(tx, "user.access_changed", id, { user_id: id, token_version, sessions });
	return after;
}

/** Publishes the changes of a user, if any. @param after the user as changed */
export async function publishUpdate(
	self: HasDurableEvents,
	tx: Tx,
	after: Pick<User, "id" | "is_verified">,
	changes: Changes,
): Promise<void> {
	const updated_fields = Object.keys(changes);
	if (updated_fields.length === 0) return;
	const verified = changes.email !== undefined && after.is_verified ? { is_verified: true } : {};
	await self.publish(tx, "user.updated", after.id, {
		user_id: after.id,
		updated_fields,
		...verified,
	});
}

/** Unique violation, or the deadlock of two users who take each other's address. */
const isTaken = (error: unknown): boolean =>
	["23505", "40P01"].includes((error as { code: string }).code);
/** @throws EMAIL_TAKEN where the change failed because another user has the address */
export async function orTaken<T>(changed: Promise<T>): Promise<T> {
	try {
		return await changed;
	} catch (error) {
		if (isTaken(error)) throwError(users, "EMAIL_TAKEN");
		throw error;
	}
}
