import type { EventData } from "../../lib/contracts/contract.ts";
import { type Database, type Queryable, sql, type Tx } from "../../lib/persistence/database.ts";
import { ACCESS_TOKEN_SECONDS } from "../../lib/security/access-token.ts";
import type {} from "../users/users.contract.ts";

/** How long a session lives after its last refresh. */
const LIFETIME = "interval '30 days'";
/** The lifetime of an access token, and a margin for clocks that differ. */
export const TOKEN_LIFETIME = `interval '${ACCESS_TOKEN_SECONDS + 60} seconds'`;

/** Those who open and who end sessions of one user go one after the other: neither would see what the other has not committed yet. */
const TAKE_TURNS = sql("take_turns", "select pg_advisory_xact_lock(hashtextextended($1::text, 0))");
const OPEN = sql(
	"open",
	`with session as (insert into sessions (id, user_id, token_version, expires_at) select $1, $2::uuid, $4, now() + ${LIFETIME}
		where not exists (select from revocations where user_id = $2 and below > $4 and ends_sessions) returning id)
	insert into refresh_tokens (token_hash, session_id) select $3, id from session returning session_id`,
);
const FIND = sql(
	"find",
	"select s.id, s.user_id from sessions s join refresh_tokens t on t.session_id = s.id where t.token_hash = $1",
);
/**
 * Holds the session until the transaction ends: whoever refreshes or revokes it meanwhile waits. Its
 * version becomes that of the latest change that this service knows and that the session survived.
 */
const EXTEND = sql(
	"extend",
	`update sessions s set expires_at = now() + ${LIFETIME},
		token_version = greatest(s.token_version, (select max(below) from revocations r where r.user_id = s.user_id))
	where id = $1 and revoked_at is null and expires_at > now() returning token_version`,
);
const USE = sql(
	"use",
	"update refresh_tokens set used_at = now() where token_hash = $1 and used_at is null returning session_id",
);
const ADD = sql("add", "insert into refresh_tokens (token_hash, session_id) values ($1, $2)");

/** A session that was not refreshed for long has no access tokens that are still good. */
const NOTE = `insert into revocations (session_id) select id from ended where expires_at > now() + ${LIFETIME} - ${TOKEN_LIFETIME} returning id`;
const END = sql(
	"end_session",
	`with ended as (update sessions set revoked_at = now() where id = $1 and revoked_at is null returning id, expires_at) ${NOTE}`,
);
const END_ALL = sql(
	"end_sessions_of_user",
	`with ended as (update sessions set revoked_at = now() where user_id = $1 and revoked_at is null returning id, expires_at) ${NOTE}`,
);
const VOID = sql(
	"void_tokens",
	"insert into revocations (user_id, below, except_session, ends_sessions) values ($1, $2, $3, $4)",
);
/** Each ended session is also revoked by its id, whatever version its tokens have. */
const END_OLD = sql(
	"end_old_sessions",
	`with ended as (update sessions set revoked_at = now()
		where user_id = $1 and token_version < $2 and id is distinct from $3::uuid and revoked_at is null
		returning id, expires_at) ${NOTE}`,
);
/**
 * A gateway may learn of a revocation as late as TOKEN_LIFETIME and then applies it as long again.
 * EXTEND needs the row until no gateway applies it.
 */
const REVOCATION_LIFETIME = `interval '${2 * ACCESS_TOKEN_SECONDS + 600} seconds'`;

const STEP = 500;
/** Tokens first: those of a session that has expired are all that old, so no session takes many with it. */
const PRUNE = [
	sql(
		"prune_tokens",
		`delete from refresh_tokens where token_hash in (select token_hash from refresh_tokens
			where created_at < now() - ${LIFETIME} limit ${STEP} for update skip locked) returning 1 as gone`,
	),
	sql(
		"prune_sessions",
		`delete from sessions where id in (select id from sessions
			where expires_at < now() limit ${STEP} for update skip locked) returning 1 as gone`,
	),
	sql(
		"prune_revocations",
		`delete from revocations where id in (select id from revocations
			where at < now() - ${REVOCATION_LIFETIME} limit ${STEP} for update skip locked) returning 1 as gone`,
	),
];

export interface NewSession {
	readonly id: string;
	readonly user_id: string;
	readonly token_version: number;
	readonly token: Buffer;
}
/** @returns false when the user's sessions of this version have been ended meanwhile */
export const openSession = (
	db: Database,
	{ id, user_id, token_version, token }: NewSession,
): Promise<boolean> =>
	db.transaction(async (tx) => {
		await tx.query(TAKE_TURNS, [user_id]);
		return (await tx.query(OPEN, [id, user_id, token, token_version])).length > 0;
	});

/** The session that a refresh token belongs to. */
export const findSession = async (
	db: Queryable,
	token: Buffer,
): Promise<{ id: string; user_id: string } | undefined> =>
	(await db.query<{ id: string; user_id: string }>(FIND, [token]))[0];

/**
 * Puts a new token in the place of one that was not used yet (RFC 9700, 4.14.2). Of several requests with one token the first wins; the next
 * finds it used and revokes the session, the winner's new token with it: which of them is the thief cannot be told.
 * @returns the session's token version; undefined if there is nothing to exchange. It does not throw, because the revocation must be committed
 */
export async function exchangeRefreshToken(
	tx: Tx,
	session: string,
	old: Buffer,
	next: Buffer,
): Promise<number | undefined> {
	const [live] = await tx.query<{ token_version: number }>(EXTEND, [session]);
	if (!live) return undefined;
	const [used] = await tx.query(USE, [old]);
	await (used ? tx.query(ADD, [next, session]) : tx.query(END, [session]));
	return used && live.token_version;
}

/** Ends one session, and its access tokens. */
export const endSession = (db: Queryable, id: string): Promise<unknown> => db.query(END, [id]);

/** Ends all sessions of a user, and their access tokens. */
export const endAllSessions = (db: Database, user_id: string): Promise<unknown> =>
	db.transaction(async (tx) => {
		await tx.query(TAKE_TURNS, [user_id]);
		await tx.query(END_ALL, [user_id]);
	});

/** Makes a user's access tokens of before void, and where it says so ends the sessions of before. */
export async function voidTokens(tx: Tx, change: EventData<"user.access_changed">): Promise<void> {
	const { user_id, token_version, sessions, except = null } = change;
	await tx.query(TAKE_TURNS, [user_id]);
	await tx.query(VOID, [user_id, token_version, except, sessions === "ended"]);
	if (sessions === "ended") await tx.query(END_OLD, [user_id, token_version, except]);
}

/** In small steps, so that no statement holds many rows. */
export async function prune(db: Queryable): Promise<void> {
	for (const statement of PRUNE) {
		let gone: unknown[];
		do gone = await db.query(statement);
		while (gone.length === STEP);
	}
}
