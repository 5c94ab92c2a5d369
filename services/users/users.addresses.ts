import { assertAddress } from "../../lib/addresses/address.ts";
import { throwError } from "../../lib/contracts/contract.ts";
import type { Infer } from "../../lib/contracts/schema.ts";
import type { Database, Tx } from "../../lib/persistence/database.ts";
import { newId } from "../../lib/persistence/id.ts";
import { lockUser } from "./users.accounts.ts";
import * as statements from "./users.addresses.statements.ts";
import type { savedAddress } from "./users.contract.addresses.ts";
import { users } from "./users.contract.ts";

export type SavedAddress = Infer<typeof savedAddress>;
type Fields = Omit<SavedAddress, "id">;

/**
 * Adds an address. The lock on the user serializes changes of an address book, so that concurrent
 * requests exceed neither the number of addresses nor that of defaults.
 * @throws VALIDATION_ERROR, ADDRESS_BOOK_FULL, USER_NOT_FOUND also for a deactivated user, whose
 * address book is deleted
 */
export async function addAddress(tx: Tx, user_id: string, fields: Fields): Promise<SavedAddress> {
	assertAddress(undefined, fields);
	const { is_active } = await lockUser(tx, user_id);
	if (!is_active) throwError(users, "USER_NOT_FOUND");
	const [added] = await tx.query<SavedAddress>(
		statements.INSERT,
		valuesOf(user_id, newId(), fields),
	);
	return added ?? throwError(users, "ADDRESS_BOOK_FULL");
}

/** @throws VALIDATION_ERROR, USER_NOT_FOUND, ADDRESS_NOT_FOUND */
export function updateAddress(
	db: Database,
	user_id: string,
	id: string,
	changes: Partial<Fields>,
): Promise<SavedAddress> {
	return db.transaction(async (tx) => {
		await lockUser(tx, user_id);
		const [before] = await tx.query<SavedAddress>(statements.FIND, [user_id, id]);
		if (!before) throwError(users, "ADDRESS_NOT_FOUND");
		const after = { ...before, ...changes };
		assertAddress(undefined, after);
		const [updated] = await tx.query<SavedAddress>(statements.UPDATE, valuesOf(user_id, id, after));
		// A concurrent request may have deleted it.
		return updated ?? throwError(users, "ADDRESS_NOT_FOUND");
	});
}

/** @throws ADDRESS_NOT_FOUND */
export async function removeAddress(db: Database, user_id: string, id: string): Promise<void> {
	const [removed] = await db.query(statements.DELETE, [user_id, id]);
	if (!removed) throwError(users, "ADDRESS_NOT_FOUND");
}

/** Values of a statement. An empty text is stored as null. */
const valuesOf = (user_id: string, id: string, fields: Fields): unknown[] => [
	user_id,
	id,
	...statements.ADDRESS_FIELDS.map((field) => fields[field] ?? null).map((value) =>
		value === "" ? null : value,
	),
];
