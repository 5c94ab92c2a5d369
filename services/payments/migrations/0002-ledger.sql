-- The books of the simulated payment provider. They stand in for somebody else's database: nothing but payments.simulated-provider.ts
-- touches them, and no statement writes both here and there.
create table ledger_charges (
	-- The caller's idempotency key.
	key text primary key,
	-- closed: cancelled before anything was charged.
	status text not null check (status in ('captured', 'declined', 'closed')),
	amount numeric(12,2) not null check (amount >= 0),
	currency text not null,
	reason text,
	refunded numeric(12,2) not null default 0 check (refunded between 0 and amount),
	-- What the cancellation paid back; null while the key is open.
	cancelled numeric(12,2),
	at timestamptz not null default now()
);

create table ledger_refunds (
	key text primary key,
	charge_key text not null references ledger_charges,
	amount numeric(12,2) not null check (amount > 0),
	at timestamptz not null default now()
);

-- How often a flaky card was tried.
create table ledger_attempts (
	key text primary key,
	attempts int not null
);
