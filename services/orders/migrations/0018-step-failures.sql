-- Attempts of saga steps without a conclusive outcome, for the timelines of their orders. There is
-- no foreign key, because its check would lock the orders.
create table step_failures (
	order_id uuid not null,
	-- `attempt` is the run of the saga, `tries` is the number of the call in the run.
	attempt int not null,
	step text not null,
	tries int not null,
	error text not null,
	is_last boolean not null,
	traceparent text,
	time timestamptz not null default now(),
	primary key (order_id, attempt, step, tries)
);
create index step_failures_time on step_failures (time);
