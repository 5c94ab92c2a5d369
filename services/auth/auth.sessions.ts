import type { EventData } from "../../lib/contracts/contract.ts";
import type { Database, Queryable, Tx } from "../../lib/persistence/database.ts";
import type {} from "../users/users.contract.ts";
import * as statements from "./auth.statements.ts";

interface NewSession {
	readonly id: string;
	readonly user_id: string;
	readonly token_version: number;
	/** Digest of the first refresh token. */
	readonly token: Buffer;
}

/**
 * Opens a session.
 * @returns false if the user's sessions of this token version have been ended since the password
 * was verified
 */
export const openSession = (
	db: Database,
	{ id, user_id, token_version, token }: NewSession,
): Promise<boolean> =>
	db.transaction(async (tx) => {
		await tx.query(statements.LOCK_SESSIONS_OF_USER, [user_id]);
		const opened = await tx.query(statements.OPEN_SESSION, [id, user_id, token, token_version]);
		return opened.length > 0;
	});

/** Finds the session of a refresh token by the token's digest. */
export const findSession = async (
	db: Queryable,
	token: Buffer,
): Promise<{ id: string; user_id: string } | undefined> =>
	(await db.query<{ id: string; user_id: string }>(statements.FIND_SESSION, [token]))[0];

/**
 * Replaces an unused refresh token (RFC 9700, section 4.14.2). Of concurrent requests with the same
 * token the first one succeeds. The next one finds the token used and ends the session, including
 * the first one's new token, because either of them may be the attacker.
 *
 * @returns the session's token version, or undefined if the session has ended. It does not throw,
 * because the end of the session must be committed.
 */
export async function exchangeRefreshToken(
	tx: Tx,
	session: string,
	oldToken: Buffer,
	newToken: Buffer,
): Promise<number | undefined> {
	const values = [session];
	const [open] = await tx.query<{ token_version: number }>(statements.EXTEND_SESSION, values);
	if (!open) return undefined;
	const [used] = await tx.query(statements.USE_REFRESH_TOKEN, [oldToken]);
	if (!used) {
		await tx.query(statements.END_SESSION, [session]);
		return undefined;
	}
	await tx.query(statements.ADD_REFRESH_TOKEN, [newToken, session]);
	return open.token_version;
}

/** Ends a session and revokes its access tokens. */
export const endSession = (db: Queryable, id: string): Promise<unknown> =>
	db.query(statements.END_SESSION, [id]);

/** Ends all sessions of a user and revokes their access tokens. */
export const endAllSessions = (db: Database, user_id: string): Promise<unknown> =>
	db.transaction(async (tx) => {
		await tx.query(statements.LOCK_SESSIONS_OF_USER, [user_id]);
		await tx.query(statements.END_SESSIONS_OF_USER, [user_id]);
	});

/** Revokes a user's access tokens from before a change and, if it requires that, the sessions. */
export async function revokeOlderTokens(
	tx: Tx,
	{ user_id, token_version, sessions, except }: EventData<"user.access_changed">,
): Promise<void> {
	const endsSessions = sessions === "ended";
	await tx.query(statements.LOCK_SESSIONS_OF_USER, [user_id]);
	const values = [user_id, token_version, except ?? null, endsSessions];
	await tx.query(statements.REVOKE_OLDER_TOKENS, values);
	if (endsSessions)
		await tx.query(statements.END_OLDER_SESSIONS, [user_id, token_version, except ?? null]);
}

/** Deletes expired rows in batches, so that no statement locks many rows. */
export async function prune(db: Queryable): Promise<void> {
	for (const statement of statements.PRUNE) {
		let deleted: unknown[];
		do deleted = await db.query(statement);
		while (deleted.length === statements.PRUNE_BATCH_SIZE);
	}
}
