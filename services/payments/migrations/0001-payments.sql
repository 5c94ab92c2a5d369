create table payments (
	id uuid primary key,
	order_id uuid not null unique,
	-- Null in a tombstone, which a reversal that precedes its charge inserts. It has no amount
	-- either.
	user_id uuid,
	amount numeric(12,2) not null default 0,
	currency text not null default '',
	status text not null check (status in ('captured', 'declined',
		'partially_refunded', 'refunded', 'cancelled')),
	decline_reason text,
	-- Sum of the refunds, including those that are not settled yet.
	refunded_amount numeric(12,2) not null default 0 check (refunded_amount between 0 and amount),
	-- Null without a reversal. A reversal rejects later charges and, until it is done, refunds. It is
	-- done when the provider has confirmed it.
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
	-- Time at which the provider confirmed the refund; until then, the request is repeated.
	settled_at timestamptz
);
create index refunds_payment_id on refunds (payment_id);
create index refunds_unsettled on refunds (at) where settled_at is null;
