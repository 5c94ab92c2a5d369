-- Numbers of attempts of the pollers, and times of the next attempt. Rows that keep failing back
-- off, so that they do not block others. `reversal_at` is the time of a reversal's first attempt.
-- It shows whether the provider may have forgotten the idempotency key of the payout.
alter table refunds
	add column attempts int not null default 0,
	add column next_at timestamptz not null default now();
alter table payments
	add column checks int not null default 0,
	add column check_at timestamptz not null default now(),
	add column reversal_at timestamptz;
