import type { CachesRows } from "../../lib/caching/change-row.ts";
import { throwError } from "../../lib/contracts/contract.ts";
import type { Tx } from "../../lib/persistence/database.ts";
import { newId } from "../../lib/persistence/id.ts";
import type { HasDurableEvents } from "../../mixins/durable-events.mixin.ts";
import { users } from "./users.contract.ts";
import {
	type Changes,
	changesOf,
	removesAdministrator,
	revokesLinks,
	sessionsAfter,
	type User,
} from "./users.rules.ts";
import { revokeLinks } from "./users.single-use-tokens.ts";
import * as statements from "./users.statements.ts";

/** A service that writes users, caches them and publishes their events. */
export type UserStore = CachesRows<User> & HasDurableEvents;

/** A user to insert. */
export interface NewAccount extends Pick<User, "email" | "full_name" | "role" | "is_verified"> {
	readonly hashed_password: string;
}

/** Inserts a user and its `user.created` event. Undefined if the address is taken. */
export async function insertUser(
	store: HasDurableEvents,
	tx: Tx,
	{ email, full_name, role, is_verified, hashed_password }: NewAccount,
): Promise<User | undefined> {
	const values = [newId(), email, full_name, role, is_verified, hashed_password];
	const [user] = await tx.query<User>(statements.INSERT_USER, values);
	if (user)
		await store.publish(tx, "user.created", user.id, { user_id: user.id, email, full_name });
	return user;
}

/** Locks a user until the transaction ends. @throws USER_NOT_FOUND */
export async function lockUser(tx: Tx, id: string): Promise<User> {
	const [user] = await tx.query<User>(statements.LOCK_USER, [id]);
	return user ?? throwError(users, "USER_NOT_FOUND");
}

/**
 * Updates a locked user and publishes the changes. Without changes it neither writes nor publishes.
 * @throws LAST_ADMIN
 */
export async function updateUser(
	store: UserStore,
	tx: Tx,
	before: User,
	requested: Changes,
): Promise<User> {
	const changes = changesOf(before, requested);
	if (Object.keys(changes).length === 0) return before;
	if (removesAdministrator(before, changes)) await assertOtherAdministrator(tx, before.id);
	const { id, email, full_name, role, is_active, is_verified } = { ...before, ...changes };
	const sessions = sessionsAfter(changes);
	const values = [id, email, full_name, role, is_active, is_verified, sessions ? 1 : 0];
	const [updated] = await tx.query<User & { token_version: number }>(
		statements.UPDATE_USER,
		values,
	);
	const { token_version, ...after } = updated!;
	if (revokesLinks(changes)) await revokeLinks(tx, id);
	await publishUpdate(store, tx, after, changes);
	if (sessions)
		await store.publish(tx, "user.access_changed", id, { user_id: id, token_version, sessions });
	return after;
}

/**
 * Publishes `user.updated` if there are changes, and `user.email_verified` if one of them verifies
 * the address.
 * @param after the user after the changes
 */
export async function publishUpdate(
	store: HasDurableEvents,
	tx: Tx,
	after: Pick<User, "id" | "email" | "is_verified">,
	changes: Changes,
): Promise<void> {
	const updated_fields = Object.keys(changes);
	if (updated_fields.length === 0) return;
	const verified = changes.email !== undefined && after.is_verified ? { is_verified: true } : {};
	await store.publish(tx, "user.updated", after.id, {
		user_id: after.id,
		updated_fields,
		...verified,
	});
	if (after.is_verified && (changes.email !== undefined || changes.is_verified !== undefined))
		await store.publish(tx, "user.email_verified", after.id, {
			user_id: after.id,
			email: after.email,
		});
}

/**
 * Rethrows a failed change of an address as EMAIL_TAKEN if the address has another owner: a unique
 * violation, or the deadlock of two users who take each other's address.
 */
export function rethrowEmailTaken(error: { code?: string }): never {
	if (error.code === "23505" || error.code === "40P01") throwError(users, "EMAIL_TAKEN");
	throw error;
}

/**
 * Serializes changes of administrators until the transaction ends: without the lock, two
 * administrators who remove each other would each still see the other.
 * @throws LAST_ADMIN if `id` is the only active administrator
 */
async function assertOtherAdministrator(tx: Tx, id: string): Promise<void> {
	await tx.query(statements.LOCK_ADMINISTRATORS);
	const [other] = await tx.query(statements.FIND_OTHER_ADMINISTRATOR, [id]);
	if (!other) throwError(users, "LAST_ADMIN");
}
