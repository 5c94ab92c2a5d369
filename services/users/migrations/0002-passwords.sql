-- Grows with every change after which access tokens from before must not be believed any more: password, role, deactivation.
alter table users add column token_version int not null default 1;

-- What the token proves whoever has it may do.
alter table verifications add column purpose text not null default 'email';
-- What is there already is looked at by a later migration, without a lock.
alter table verifications add constraint verifications_purpose_check check (purpose in ('email', 'password')) not valid;

-- Who asks for a new password is written down whether or not there is such a user, and looked up later, so that the answer takes the same time.
create table password_reset_requests (
	email text primary key,
	requested_at timestamptz not null default now(),
	handled_at timestamptz
);
create index password_reset_requests_open on password_reset_requests (requested_at) where handled_at is null;
create index password_reset_requests_handled on password_reset_requests (handled_at);

-- Sign-ins of one account from one address that have failed, or are being looked at. A delay holds for that pair alone.
create table sign_in_attempts (
	-- SHA-256: half of what is tried are typing errors, or addresses of people who are no customers.
	email_hash bytea not null,
	address text not null,
	failures int not null default 1,
	next_at timestamptz not null default now(),
	at timestamptz not null default now(),
	primary key (email_hash, address)
);
create index sign_in_attempts_at on sign_in_attempts (at);
