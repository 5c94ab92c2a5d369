alter table payments
	-- ID at the provider; null if it is the order ID.
	add column reference text,
	add column decline_code text,
	-- Secret and URL with which the buyer confirms the payment, and the time limit. Null for other
	-- payments.
	add column client_secret text,
	add column redirect_url text,
	add column expires_at timestamptz,
	drop constraint payments_status_check,
	add constraint payments_status_check check (status in (
		'requires_action', 'processing', 'authorized', 'captured', 'declined', 'partially_refunded',
		'refunded', 'disputed', 'voided', 'cancelled')) not valid;
alter table refunds
	-- A failed refund has a time of failure, also if it was settled before.
	add column failed_at timestamptz,
	add column failure_reason text;

-- Ledger of the payments, which is append-only.
create table payment_transactions (
	payment_id uuid not null references payments,
	type text not null check (type in (
		'authorization', 'capture', 'void', 'refund', 'refund_failed', 'dispute', 'dispute_reversed')),
	state text not null check (state in ('requested', 'succeeded', 'failed')),
	-- Order ID of an authorization, capture or void, which a payment has once; ID of a refund that
	-- this service requested; otherwise the ID at the provider.
	reference text not null,
	-- In minor units of the payment's currency.
	amount bigint not null check (amount >= 0),
	reason text,
	at timestamptz not null default now(),
	primary key (payment_id, type, state, reference)
);
