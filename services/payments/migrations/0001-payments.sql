create table payments (
	id uuid primary key,
	order_id uuid not null unique,
	-- A tombstone, left by a reversal that came before its charge, has no user and no amount.
	user_id uuid,
	amount numeric(12,2) not null default 0,
	currency text not null default '',
	status text not null check (status in ('captured', 'declined', 'partially_refunded', 'refunded', 'cancelled')),
	decline_reason text,
	-- What was paid back and what is on its way.
	refunded_amount numeric(12,2) not null default 0 check (refunded_amount between 0 and amount),
	-- From when it has begun nothing else happens to the payment; it is done when the provider has said so.
	reversal text check (reversal in ('begun', 'done')),
	created_at timestamptz not null default now(),
	updated_at timestamptz not null default now(),
	check ((user_id is null) = (status = 'cancelled'))
);

create table refunds (
	id uuid primary key,
	payment_id uuid not null references payments,
	amount numeric(12,2) not null check (amount >= 0),
	reason text,
	at timestamptz not null default now(),
	-- When the provider had confirmed it; until then it is asked again.
	settled_at timestamptz
);
create index refunds_payment_id on refunds (payment_id);
create index refunds_unsettled on refunds (at) where settled_at is null;
