create index carts_settle_at on carts (settle_at) where status = 'completing';
