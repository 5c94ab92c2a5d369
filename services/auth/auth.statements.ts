import { sql } from "../../lib/persistence/database.ts";
import { ACCESS_TOKEN_SECONDS } from "../../lib/security/access-token.ts";
import { REVOCATIONS_PAGE_SIZE } from "../../lib/security/revocations.ts";

/** Lifetime of a session after its last refresh. */
const SESSION_LIFETIME = "interval '30 days'";
/** Lifetime of an access token, with a margin for clocks that differ. */
const TOKEN_LIFETIME = `interval '${ACCESS_TOKEN_SECONDS + 60} seconds'`;
/**
 * A gateway may receive a revocation as late as TOKEN_LIFETIME and then applies it for the same
 * time again. EXTEND_SESSION needs the row until no gateway applies it.
 */
const REVOCATION_LIFETIME = `interval '${2 * ACCESS_TOKEN_SECONDS + 600} seconds'`;

/**
 * Serializes transactions that open and end sessions of one user, because neither would see the
 * uncommitted rows of the other.
 */
export const LOCK_SESSIONS_OF_USER = sql(
	"lock_sessions_of_user",
	"select pg_advisory_xact_lock(hashtextextended($1::text, 0))",
);

/**
 * Opens a session with its first refresh token, unless the user's sessions of this token version
 * have been ended.
 */
export const OPEN_SESSION = sql(
	"open_session",
	`with session as (
		insert into sessions (id, user_id, token_version, expires_at)
		select $1, $2::uuid, $4, now() + ${SESSION_LIFETIME}
		where not exists (
			select from revocations where user_id = $2 and below > $4 and ends_sessions)
		returning id)
	insert into refresh_tokens (token_hash, session_id)
	select $3, id from session returning session_id`,
);

/** Finds the session of a refresh token. */
export const FIND_SESSION = sql(
	"find_session",
	`select s.id, s.user_id from sessions s join refresh_tokens t on t.session_id = s.id
	where t.token_hash = $1`,
);

/**
 * Extends an open session and locks it until the transaction ends, so that concurrent refreshes and
 * revocations wait. Sets the token version to that of the latest change of the user that this
 * service has received and that the session survived.
 */
export const EXTEND_SESSION = sql(
	"extend_session",
	`update sessions s set expires_at = now() + ${SESSION_LIFETIME},
		token_version = greatest(
			s.token_version, (select max(below) from revocations r where r.user_id = s.user_id))
	where id = $1 and revoked_at is null and expires_at > now() returning token_version`,
);

/** Marks a refresh token as used. */
export const USE_REFRESH_TOKEN = sql(
	"use_refresh_token",
	`update refresh_tokens set used_at = now()
	where token_hash = $1 and used_at is null returning session_id`,
);

/** Adds a refresh token to a session. */
export const ADD_REFRESH_TOKEN = sql(
	"add_refresh_token",
	"insert into refresh_tokens (token_hash, session_id) values ($1, $2)",
);

/**
 * Revokes the access tokens of sessions in `ended`. The tokens of a session without a recent
 * refresh have expired already.
 */
const REVOKE_ENDED = `insert into revocations (session_id)
	select id from ended where expires_at > now() + ${SESSION_LIFETIME} - ${TOKEN_LIFETIME}
	returning id`;

/** Ends one session. */
export const END_SESSION = sql(
	"end_session",
	`with ended as (
		update sessions set revoked_at = now()
		where id = $1 and revoked_at is null returning id, expires_at)
	${REVOKE_ENDED}`,
);

/** Ends all sessions of a user. */
export const END_SESSIONS_OF_USER = sql(
	"end_sessions_of_user",
	`with ended as (
		update sessions set revoked_at = now()
		where user_id = $1 and revoked_at is null returning id, expires_at)
	${REVOKE_ENDED}`,
);

/**
 * Ends sessions of a user that are older than token version `$2`, except session `$3`. Also revokes
 * each by its ID, independently of the version in its access tokens.
 */
export const END_OLDER_SESSIONS = sql(
	"end_older_sessions",
	`with ended as (
		update sessions set revoked_at = now()
		where user_id = $1 and token_version < $2 and id is distinct from $3::uuid
			and revoked_at is null
		returning id, expires_at)
	${REVOKE_ENDED}`,
);

/** Revokes access tokens of a user below version `$2`, except those of session `$3`. */
export const REVOKE_OLDER_TOKENS = sql(
	"revoke_older_tokens",
	`insert into revocations (user_id, below, except_session, ends_sessions)
	values ($1, $2, $3, $4)`,
);

/** Rows that a pruning statement deletes at most. */
export const PRUNE_BATCH_SIZE = 500;
/**
 * Delete expired rows. Refresh tokens come first: an expired session then has no tokens left, so
 * deleting it cascades to few rows.
 */
export const PRUNE = [
	sql(
		"prune_tokens",
		`delete from refresh_tokens where token_hash in (
			select token_hash from refresh_tokens where created_at < now() - ${SESSION_LIFETIME}
			limit ${PRUNE_BATCH_SIZE} for update skip locked) returning 1 as deleted`,
	),
	sql(
		"prune_sessions",
		`delete from sessions where id in (
			select id from sessions where expires_at < now()
			limit ${PRUNE_BATCH_SIZE} for update skip locked) returning 1 as deleted`,
	),
	sql(
		"prune_revocations",
		`delete from revocations where id in (
			select id from revocations where at < now() - ${REVOCATION_LIFETIME}
			limit ${PRUNE_BATCH_SIZE} for update skip locked) returning 1 as deleted`,
	),
];

const REVOCATION_COLUMNS = "user_id, below, except_session as except, session_id, at";

/**
 * A page of revocations that are visible in snapshot `$1` (in the current one if null) after ID
 * `$2`. An empty page is one row without an ID.
 */
const revocationsPage = (name: string, { where, isAhead }: { where: string; isAhead: string }) =>
	sql(
		name,
		`select id, ${REVOCATION_COLUMNS}, now(),
			coalesce($1::pg_snapshot, pg_current_snapshot())::text as upto, ${isAhead} as ahead
		from (select) once left join (
			select id, user_id, below, except_session, session_id, at from revocations
			where id > $2 and ${where}
				and ($1::pg_snapshot is null or xid is null or pg_visible_in_snapshot(xid, $1::pg_snapshot))
			order by id limit ${REVOCATIONS_PAGE_SIZE}) page on true
		order by id`,
	);

/** Lists revocations that are recent enough to concern a valid access token. */
export const LIST_REVOCATIONS = revocationsPage("list_revocations", {
	where: `at >= now() - ${TOKEN_LIFETIME}`,
	isAhead: "false",
});

/** Lists revocations that were not visible in snapshot `$3`. */
export const LIST_NEW_REVOCATIONS = revocationsPage("list_new_revocations", {
	where: `xid >= pg_snapshot_xmin($3::pg_snapshot)
				and not pg_visible_in_snapshot(xid, $3::pg_snapshot)`,
	isAhead: "pg_snapshot_xmax($3::pg_snapshot) > pg_snapshot_xmax(pg_current_snapshot())",
});

/** Lists revocations since a time, for gateways of older versions. */
export const LIST_REVOCATIONS_SINCE = sql(
	"list_revocations_since",
	`select ${REVOCATION_COLUMNS} from revocations
	where at >= $1 order by at limit ${REVOCATIONS_PAGE_SIZE}`,
);

/** Reads the database's clock. */
export const NOW = sql("now", "select now()");
