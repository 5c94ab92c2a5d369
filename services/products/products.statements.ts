import { sql } from "../../lib/persistence/database.ts";
import { product } from "./products.contract.shapes.ts";
import { INHERITED } from "./products.rules.ts";

const COLUMNS = Object.keys(product).join(", ");

/**
 * Inserts products whose SKU is free, with their `product.created` events. `$1` is the products as
 * JSON, `$2` and `$3` are their IDs and events, `$4` is the trace.
 */
export const INSERT_PRODUCTS = sql(
	"insert_products",
	`with inserted as (
			insert into products (id, name, description, price, currency, category, sku, parent_id,
				options, option_names, own_fields, attributes, images, in_stock)
			select id, name, description, price, currency, category, sku, parent_id, options,
				option_names, coalesce(own_fields, '{}'), coalesce(attributes, '{}'),
				coalesce(images, '[]'), coalesce(stock, 0) > 0
			from json_to_recordset($1)
				as p (id uuid, name text, description text, price numeric, currency text,
					category text, sku text, parent_id uuid, options jsonb, option_names jsonb,
					own_fields text[], attributes jsonb, images jsonb, stock int)
			on conflict (sku) where deleted_at is null do nothing returning ${COLUMNS}),
		published as (
			insert into outbox (type, subject, data, traceparent)
			select 'product.created', id::text, event, $4::text
			from inserted join unnest($2::uuid[], $3::json[]) as e (id, event) using (id) order by id)
	select ${COLUMNS} from inserted`,
);

/** Locks a product of the catalogue until the transaction ends. */
export const LOCK_PRODUCT = sql(
	"lock_product",
	`select ${COLUMNS} from products where id = $1 and deleted_at is null for update`,
);

/**
 * Updates all changeable fields of a locked product. `$12` are the fields that become own fields of
 * a variant, `$13` those that it inherits.
 */
export const UPDATE_PRODUCT = sql(
	"update_product",
	`update products set name = $2, description = $3, price = $4, currency = $5, category = $6,
		sku = $7, option_names = $8, attributes = $9, images = $10, options = $11,
		own_fields = case when parent_id is null then own_fields else
			array(select unnest(own_fields) union select unnest($12::text[])
				except select unnest($13::text[])) end,
		updated_at = now()
	where id = $1 returning ${COLUMNS}`,
);

/**
 * Copies the fields of a locked parent to its variants that do not define them, with one
 * `product.updated` event per variant. `$1` is the parent, `$2` are the changed fields, `$3` is the
 * trace.
 */
export const INHERIT = sql(
	"inherit",
	`with changed as (
			update products v set updated_at = now(), ${INHERITED.map(
				(field) =>
					`${field} = case when '${field}' = any(v.own_fields) then v.${field} else p.${field} end`,
			).join(", ")}
			from products p
			where p.id = $1 and v.parent_id = p.id and v.deleted_at is null
				and not v.own_fields @> $2::text[]
			returning v.id, v.own_fields)
	insert into outbox (type, subject, data, traceparent)
	select 'product.updated', id::text, json_build_object('product_id', id, 'updated_fields',
		array(select field from unnest($2::text[]) as field where field <> all(own_fields))), $3::text
	from changed order by id`,
);

/** Counts the variants of locked parents. Updates their facet values and search terms as well. */
export const REFRESH_PARENTS = sql(
	"refresh_parents",
	`update products p set variant_count = family.variants,
		in_stock = case when family.variants > 0 then family.in_stock else p.in_stock end
	from unnest($1::uuid[]) as parent (id) cross join lateral (
		select count(*) as variants, bool_or(in_stock) as in_stock from products
		where parent_id = parent.id and parent_id is not null and deleted_at is null) as family
	where p.id = parent.id`,
);

/** IDs of a product, its parent and its variants. */
export const FAMILY = sql(
	"family",
	`select id, parent_id from products where id = $1 and deleted_at is null
	union all select id, parent_id from products
		where parent_id = $1 and parent_id is not null and deleted_at is null`,
);

/** Variants of a product, in the order of their creation. */
export const VARIANTS = sql(
	"variants",
	`select ${COLUMNS} from products
	where parent_id = $1 and parent_id is not null and deleted_at is null order by id`,
);

/**
 * Removes a locked product and its variants from the catalogue, with one event for each; the rows
 * stay for orders. `$2` is the trace.
 */
export const REMOVE_PRODUCT = sql(
	"remove_product",
	`with removed as (
			update products set deleted_at = now()
			where (id = $1 or (parent_id = $1 and parent_id is not null)) and deleted_at is null
			returning id)
	insert into outbox (type, subject, data, traceparent)
	select 'product.removed', id::text, json_build_object('product_id', id), $2::text
	from removed order by id`,
);

/** Finds products of the catalogue by ID. */
export const FIND_BY_IDS = sql(
	"by_ids",
	`select ${COLUMNS} from products where id = any($1::uuid[]) and deleted_at is null`,
);

/** Finds products by ID, including removed ones. */
export const FIND_WITH_REMOVED = sql(
	"by_ids_with_removed",
	`select ${COLUMNS} from products where id = any($1::uuid[])`,
);

/** Finds a product of the catalogue by SKU. */
export const FIND_SKU = sql(
	"find_sku",
	"select from products where sku = $1 and deleted_at is null",
);

/** Finds SKUs of all products, including removed ones. */
export const FIND_USED_SKUS = sql(
	"find_used_skus",
	"select distinct sku from products where sku = any($1)",
);

/**
 * Returns the words that a product must contain: all but stop words, unless there are no others.
 */
export const CONTENT_WORDS = sql("content_words", "select to_json(content_words($1)) as content");
