-- Revocations of access tokens before they expire: of all tokens of a session, or of a user's
-- tokens with a version lower than `below`, except those of the session `except_session`. Rows are
-- pruned when no gateway applies them any longer, see REVOCATION_LIFETIME in auth.statements.ts.
create table revocations (
	id bigint generated always as identity primary key,
	user_id uuid,
	below int,
	except_session uuid,
	-- Whether the user's sessions are ended, too. A concurrent sign-in with a lower version of the
	-- tokens then opens no session.
	ends_sessions boolean not null default false,
	session_id uuid,
	at timestamptz not null default clock_timestamp(),
	check ((user_id is null) <> (session_id is null) and (user_id is null) = (below is null))
);
create index revocations_at on revocations (at);
create index revocations_user on revocations (user_id) where user_id is not null;

-- Version of the user's tokens at the sign-in, or after the last change that the session survived.
-- A late event ends only sessions with a lower version than its own.
alter table sessions add column token_version int not null default 1;
