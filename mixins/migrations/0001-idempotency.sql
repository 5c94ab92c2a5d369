-- Requests with an Idempotency-Key. A row is inserted in the transaction of the request's effects,
-- so that both are committed or neither.
create table idempotency_keys (
	user_id uuid not null,
	action text not null,
	key text not null,
	body_hash text not null,
	-- ID of the object that the request creates. If a crash prevents the response from being stored,
	-- it is derived from that object.
	subject text,
	-- Status and body of the response; null while the request is running, or after a crash.
	status int,
	answer json,
	created_at timestamptz not null default now(),
	primary key (user_id, action, key)
);
create index idempotency_keys_created_at on idempotency_keys (created_at);
