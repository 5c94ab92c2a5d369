-- Refunds of lines. A requested refund is sent to payments until its outcome is known.
create table refunds (
	id uuid primary key,
	order_id uuid not null references orders,
	items json not null,
	shipping_amount numeric not null,
	amount numeric not null,
	tax_amount numeric not null,
	reason text,
	status text not null check (status in ('requested', 'done', 'failed')),
	created_at timestamptz not null default now(),
	-- Time of the next attempt of a requested refund.
	next_at timestamptz not null default now()
);
create index refunds_order on refunds (order_id);
create index refunds_requested on refunds (next_at) where status = 'requested';
-- Avoids the lookup of refunds for orders without refunds, which are most.
alter table orders add column has_refunds boolean not null default false;
