create table users (
	id uuid primary key,
	-- Canonical address, see lib/text/email.ts. Accounts of older versions may have another form.
	email text not null unique,
	full_name text not null,
	hashed_password text not null,
	role text not null check (role in ('user', 'admin')),
	is_active boolean not null default true,
	is_verified boolean not null default false,
	created_at timestamptz not null default now(),
	updated_at timestamptz not null default now()
);
create index on users (email, is_active);

create table verifications (
	-- SHA-256 of the token, so that tokens cannot be read from this table.
	token_hash bytea primary key,
	user_id uuid not null references users,
	-- Address that the token verifies. The user's address may have changed since.
	email text not null,
	expires_at timestamptz not null
);
create index on verifications (expires_at);
