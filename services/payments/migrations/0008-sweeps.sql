-- Attempts and the time of the next attempt of each sweep, so that rows that keep failing back off and do not block others. `reversal_at` is the
-- time of a reversal's first attempt: it shows whether the provider may have forgotten the idempotency key of the payout.
alter table refunds add column attempts int not null default 0, add column next_at timestamptz not null default now();
alter table payments
	add column checks int not null default 0,
	add column check_at timestamptz not null default now(),
	add column reversal_at timestamptz;
