-- A session begins with a sign-in. It expires or is revoked as a whole, with all tokens that were
-- issued for it.
create table sessions (
	id uuid primary key,
	user_id uuid not null,
	created_at timestamptz not null default now(),
	expires_at timestamptz not null,
	revoked_at timestamptz
);
create index on sessions (user_id);
create index on sessions (expires_at);

-- A session has one unused token. Used ones are kept for a time, to detect reuse.
create table refresh_tokens (
	-- SHA-256 of the token, so that tokens cannot be read from this table.
	token_hash bytea primary key,
	session_id uuid not null references sessions on delete cascade,
	created_at timestamptz not null default now(),
	used_at timestamptz
);
create index on refresh_tokens (session_id);
create index on refresh_tokens (created_at);
