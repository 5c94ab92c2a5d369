-- Ledger of the simulated payment provider, in place of the database of a real one. Only
-- services/payments/providers/simulated/ accesses it, and no statement writes both to these and to
-- other tables.
create table ledger_charges (
	-- The caller's idempotency key.
	key text primary key,
	-- closed: voided before anything was charged.
	status text not null check (status in ('captured', 'declined', 'closed')),
	amount numeric(12,2) not null check (amount >= 0),
	currency text not null,
	reason text,
	refunded numeric(12,2) not null default 0 check (refunded between 0 and amount),
	-- Amount that was refunded when the key was closed after its charge; otherwise null. Only older
	-- versions write it.
	cancelled numeric(12,2),
	at timestamptz not null default now()
);

create table ledger_refunds (
	key text primary key,
	charge_key text not null references ledger_charges,
	amount numeric(12,2) not null check (amount > 0),
	at timestamptz not null default now()
);

-- Numbers of attempts to charge the test card that fails at first (tok_flaky).
create table ledger_attempts (
	key text primary key,
	attempts int not null
);
