import { sql } from "../../lib/persistence/database.ts";
import { product } from "./products.contract.shapes.ts";

const COLUMNS = Object.keys(product).join(", ");

/**
 * Inserts products whose SKU is free, with their `product.created` events. `$1` is the products as
 * JSON, `$2` and `$3` are their IDs and events, `$4` is the trace.
 */
export const INSERT_PRODUCTS = sql(
	"insert_products",
	`with inserted as (
			insert into products (id, name, description, price, currency, category, sku, parent_id,
				options, option_names, own_fields, attributes, images)
			select id, name, description, price, currency, category, sku, parent_id, options,
				option_names, coalesce(own_fields, '{}'), coalesce(attributes, '{}'), coalesce(images, '[]')
			from json_to_recordset($1)
				as p (id uuid, name text, description text, price numeric, currency text,
					category text, sku text, parent_id uuid, options jsonb, option_names jsonb,
					own_fields text[], attributes jsonb, images jsonb)
			on conflict (sku) where deleted_at is null do nothing returning ${COLUMNS}),
		published as (
			insert into outbox (type, subject, data, traceparent)
			select 'product.created', id::text, event, $4::text
			from inserted join unnest($2::uuid[], $3::json[]) as e (id, event) using (id) order by id)
	select ${COLUMNS} from inserted`,
);

/** Locks a product of the catalog until the transaction ends. */
export const LOCK_PRODUCT = sql(
	"lock_product",
	`select ${COLUMNS} from products where id = $1 and deleted_at is null for update`,
);

/** Updates all changeable fields of a locked product. */
export const UPDATE_PRODUCT = sql(
	"update_product",
	`update products set name = $2, description = $3, price = $4, currency = $5, category = $6,
		sku = $7, option_names = $8, attributes = $9, images = $10, updated_at = now()
	where id = $1 returning ${COLUMNS}`,
);

/** Removes a product from the catalog; the row stays for orders. */
export const REMOVE_PRODUCT = sql(
	"remove_product",
	"update products set deleted_at = now() where id = $1",
);

/** Finds products of the catalog by ID. */
export const FIND_BY_IDS = sql(
	"by_ids",
	`select ${COLUMNS} from products where id = any($1::uuid[]) and deleted_at is null`,
);

/** Finds a product of the catalog by SKU. */
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
