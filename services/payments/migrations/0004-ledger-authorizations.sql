-- Authorizations that were not captured in the same request. An authorization is open until
-- ledger_charges has a row with its key: captured, declined or, after a void, closed.
create table ledger_authorizations (
	key text primary key,
	amount numeric(12,2) not null check (amount >= 0),
	currency text not null,
	-- Token of the test card, which also determines the responses to later requests.
	token text not null,
	at timestamptz not null default now()
);
-- Idempotency key of the capture; null if the same request authorized and captured, under `key`.
alter table ledger_charges add column capture_key text;
