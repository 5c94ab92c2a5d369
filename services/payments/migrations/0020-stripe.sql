-- Tables of the Stripe provider. A row is inserted before its PaymentIntent is created. A row
-- without an amount is the tombstone of a key that was voided before its payment was requested.
create table stripe_intents (
	-- The caller's idempotency key, the order ID.
	key text primary key,
	intent_id text unique,
	amount numeric check (amount >= 0),
	currency text,
	payment_method text,
	-- Idempotency key of the capture; null if none was requested.
	capture_key text,
	closed boolean not null default false,
	decline_reason text,
	decline_code text,
	created_at timestamptz not null default now()
);
-- Requests for whose idempotency key Stripe has stored a server error. The next attempt uses
-- another key.
create table stripe_attempts (
	name text primary key,
	attempt int not null
);
