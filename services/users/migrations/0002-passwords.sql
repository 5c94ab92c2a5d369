-- Version of access tokens. A change of password, role or activity increments it, which revokes
-- older tokens.
alter table users add column token_version int not null default 1;

-- Purpose of the token: `email` verifies an address, `password` sets a new password.
alter table verifications add column purpose text not null default 'email';
-- A later migration validates existing rows, without blocking writes.
alter table verifications add constraint verifications_purpose_check
	check (purpose in ('email', 'password')) not valid;

-- Requests for a password reset, recorded whether or not the account exists. A poller looks the
-- account up later, so the response time does not reveal it.
create table password_reset_requests (
	email text primary key,
	requested_at timestamptz not null default now(),
	handled_at timestamptz
);
create index password_reset_requests_open on password_reset_requests (requested_at)
	where handled_at is null;
create index password_reset_requests_handled on password_reset_requests (handled_at);

-- Numbers of failed and current attempts to sign in to an account from a network address. A delay
-- applies to that pair only.
create table sign_in_attempts (
	-- SHA-256 of the e-mail address, because many attempts contain typing errors or addresses of
	-- people without an account.
	email_hash bytea not null,
	address text not null,
	failures int not null default 1,
	next_at timestamptz not null default now(),
	at timestamptz not null default now(),
	primary key (email_hash, address)
);
create index sign_in_attempts_at on sign_in_attempts (at);
