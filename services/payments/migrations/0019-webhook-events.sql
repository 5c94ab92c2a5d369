-- Notifications of payment providers. Each is stored once and processed by looking the payment up.
create table payment_webhook_events (
	provider text not null,
	event_id text not null,
	-- Order of the payment; null if the event concerns none.
	order_id uuid,
	type text not null,
	received_at timestamptz not null default now(),
	processed_at timestamptz,
	attempts int not null default 0,
	next_at timestamptz not null default now(),
	primary key (provider, event_id)
);
create index payment_webhook_events_due on payment_webhook_events (next_at)
	where processed_at is null;
create index payment_webhook_events_received on payment_webhook_events (received_at);
