-- Publishes when a product becomes available or sold out. The condition is checked for each changed
-- row; the function runs only for such a change.
create function publish_availability() returns trigger language plpgsql as $$
	begin
		insert into outbox (type, subject, data)
		values ('inventory.availability_changed', new.product_id::text,
			json_build_object('product_id', new.product_id, 'is_available', new.on_hand > new.reserved));
		return null;
	end $$;
create trigger stock_availability after update on stock for each row
	when ((old.on_hand > old.reserved) <> (new.on_hand > new.reserved))
	execute function publish_availability();
