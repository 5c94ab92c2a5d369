-- Authorisations that were not captured in the same request. One is open until ledger_charges has an entry under its key: captured, or
-- closed, which is what a void leaves.
create table ledger_authorizations (
	key text primary key,
	amount numeric(12,2) not null check (amount >= 0),
	currency text not null,
	-- The card, which behaves at the capture as it did before.
	token text not null,
	at timestamptz not null default now()
);
-- The key of the capture; null where that came with the authorisation, under the same key.
alter table ledger_charges add column capture_key text;
