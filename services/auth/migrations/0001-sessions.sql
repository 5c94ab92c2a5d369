-- One sign-in and everything that was ever exchanged for it. It is revoked, and it expires, as a whole.
create table sessions (
	id uuid primary key,
	user_id uuid not null,
	created_at timestamptz not null default now(),
	expires_at timestamptz not null,
	revoked_at timestamptz
);
create index on sessions (user_id);
create index on sessions (expires_at);

-- A session has one token that was not used yet. The used ones stay for a time, to be recognised when somebody brings one again.
create table refresh_tokens (
	-- SHA-256 of the token: who reads this table cannot sign in with it.
	token_hash bytea primary key,
	session_id uuid not null references sessions on delete cascade,
	created_at timestamptz not null default now(),
	used_at timestamptz
);
create index on refresh_tokens (session_id);
create index on refresh_tokens (created_at);
