-- Requests that carried an Idempotency-Key. A row is written in the transaction of what it guards, so either both are there or neither.
create table idempotency_keys (
	user_id uuid not null,
	action text not null,
	key text not null,
	body_hash text not null,
	-- What the request made, by its id: where the answer was lost in a crash it can be told again from that.
	subject text,
	-- Null while the request is running.
	status int,
	answer json,
	created_at timestamptz not null default now(),
	primary key (user_id, action, key)
);
create index idempotency_keys_created_at on idempotency_keys (created_at);
