create table users (
	id uuid primary key,
	-- In lower case, as contracts normalise it.
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
	-- SHA-256 of the token: who reads this table cannot verify with it.
	token_hash bytea primary key,
	user_id uuid not null references users,
	-- The address that the token proves; the user may have another one by then.
	email text not null,
	expires_at timestamptz not null
);
create index on verifications (expires_at);
