-- What access tokens are void before they expire: those of one session, or a user's with a version below the one given, `except` those of one
-- session. Needed for as long as such a token could live, a quarter of an hour.
create table revocations (
	id bigint generated always as identity primary key,
	user_id uuid,
	below int,
	except_session uuid,
	-- Sessions that a sign-in from before is still opening are refused as well.
	ends_sessions boolean not null default false,
	session_id uuid,
	at timestamptz not null default clock_timestamp(),
	check ((user_id is null) <> (session_id is null) and (user_id is null) = (below is null))
);
create index revocations_at on revocations (at);
create index revocations_user on revocations (user_id) where user_id is not null;

-- The version of the user's tokens when the session was opened. What ends the sessions of a version ends no later ones, however late it comes.
alter table sessions add column token_version int not null default 1;
