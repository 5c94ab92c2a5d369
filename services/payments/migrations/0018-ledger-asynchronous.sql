-- Tables of the simulated provider. `status` is that of an authorization without a charge.
alter table ledger_authorizations
	add column status text not null default 'authorized',
	add column capture boolean not null default false;
alter table ledger_refunds
	add column status text not null default 'succeeded',
	add column paid_at timestamptz,
	add column failed_at timestamptz;
create table ledger_disputes (
	charge_key text primary key references ledger_charges,
	amount numeric not null check (amount > 0),
	at timestamptz not null default now(),
	reversed_at timestamptz
);
