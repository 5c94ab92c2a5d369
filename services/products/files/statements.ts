import { sql } from "../../../lib/persistence/database.ts";
import { product } from "../products.contract.shapes.ts";

const COLUMNS = [...Object.keys(product), "own_fields"];
const columnsOf = (table: string) => COLUMNS.map((name) => `${table}.${name}`).join(", ");

/**
 * IDs of the products that a batch refers to: those with the SKUs `$1`, those without an SKU and
 * with the IDs `$2`, and the parents of variants among them.
 */
const REFERENCED = `
	with named as (
			select id, parent_id from products where sku = any($1::text[]) and deleted_at is null
			union all
			select id, parent_id from products
				where id = any($2::uuid[]) and sku is null and deleted_at is null)
	select id from named union select parent_id from named where parent_id is not null`;

/** Finds the products that a batch refers to. */
export const FIND_REFERENCED = sql(
	"find_referenced",
	`select ${columnsOf("p")} from (${REFERENCED}) as r join products p on p.id = r.id`,
);

/** Locks products in the order of all transactions: parents before variants, each by ID. */
export const LOCK_PRODUCTS = sql(
	"lock_products",
	`select ${columnsOf("products")} from products
	where id = any($1::uuid[]) and deleted_at is null
	order by parent_id is not null, id for update`,
);

/** Finds the variants of parents. */
export const FIND_VARIANT_IDS = sql(
	"find_variant_ids",
	`select id from products
	where parent_id = any($1::uuid[]) and parent_id is not null and deleted_at is null`,
);

/**
 * Inserts products, with their `product.created` events, and returns their IDs. A product whose SKU
 * is taken, or a variant whose options are, is not inserted. `$1` is the products as JSON, `$2` is
 * the trace.
 */
export const INSERT_ROWS = sql(
	"insert_rows",
	`with inserted as (
			insert into products (id, name, description, price, currency, category, sku, parent_id,
				options, option_names, own_fields, attributes, images, in_stock)
			select id, name, description, price, currency, category, sku, parent_id, options,
				option_names, own_fields, attributes, images, stock > 0
			from json_to_recordset($1)
				as p (id uuid, name text, description text, price numeric, currency text,
					category text, sku text, parent_id uuid, options jsonb, option_names jsonb,
					own_fields text[], attributes jsonb, images jsonb, stock int)
			order by id
			on conflict do nothing returning id, parent_id),
		published as (
			insert into outbox (type, subject, data, traceparent)
			select 'product.created', id::text, json_strip_nulls(
				json_build_object('product_id', id, 'parent_id', parent_id)), $2::text
			from inserted order by id)
	select id from inserted`,
);

/**
 * Updates locked products, with their `product.updated` events. `$1` is the products as JSON, `$2`
 * is the trace.
 */
export const UPDATE_ROWS = sql(
	"update_rows",
	`with rows as (
			select * from json_to_recordset($1)
				as r (id uuid, name text, description text, price numeric, currency text,
					category text, options jsonb, option_names jsonb, own_fields text[],
					attributes jsonb, images jsonb, updated_fields json)),
		updated as (
			update products p set name = r.name, description = r.description, price = r.price,
				currency = r.currency, category = r.category, options = r.options,
				option_names = r.option_names, own_fields = r.own_fields,
				attributes = r.attributes, images = r.images, updated_at = now()
			from rows r where p.id = r.id returning p.id, r.updated_fields)
	insert into outbox (type, subject, data, traceparent)
	select 'product.updated', id::text,
		json_build_object('product_id', id, 'updated_fields', updated_fields), $2::text
	from updated where json_array_length(updated_fields) > 0 order by id`,
);

/** Rows of one page of an export. The last family may exceed it. */
const PAGE_ROWS = 500;

/**
 * One page of an export: families of a parent or stand-alone product, in order of IDs, with the
 * product followed by its variants. `$1` is the ID of the first family.
 */
export const EXPORT_PAGE = sql(
	"export_page",
	`with candidates as (
			select id, 1 + variant_count as size from products
			where id >= $1 and parent_id is null and deleted_at is null order by id limit ${PAGE_ROWS}),
		families as (
			select id from (
				select id, sum(size) over (order by id) - size as before from candidates) as c
			where before < ${PAGE_ROWS})
	select ${columnsOf("p")}, f.id as family
	from families f join products p on p.id = f.id
	union all
	select ${columnsOf("v")}, f.id
	from families f join products v on v.parent_id = f.id
	where v.parent_id is not null and v.deleted_at is null
	order by family, parent_id nulls first, id`,
);

/** Names of all options and attributes, and the number of products. */
export const EXPORT_COLUMNS = sql(
	"export_columns",
	`select
		array(select distinct jsonb_object_keys(attributes) from products
			where deleted_at is null) as attributes,
		array(select distinct jsonb_array_elements_text(option_names) from products
			where deleted_at is null and option_names is not null) as options`,
);

/** For the approximate number of products. */
export const ALL_PRODUCTS = "select id from products where deleted_at is null";
