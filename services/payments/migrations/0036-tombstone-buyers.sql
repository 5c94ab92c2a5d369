alter table payments
	-- User of the order of a tombstone, to whom late money is reported.
	add column buyer_id uuid;
