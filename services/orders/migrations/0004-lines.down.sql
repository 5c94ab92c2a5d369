insert into order_items (order_id, position, product_id, name, quantity, unit_price, line_total)
	select o.id, line.n - 1, line.product_id, line.name, line.quantity, line.unit_price,
		line.line_total
	from orders o, rows from (json_to_recordset(o.items) as (product_id uuid, name text,
			quantity int, unit_price numeric, line_total numeric))
		with ordinality as line (product_id, name, quantity, unit_price, line_total, n)
	where o.items is not null;
alter table orders drop column items;
