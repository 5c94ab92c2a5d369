import { sql } from "../../lib/persistence/database.ts";
import { shippingMethod } from "./shipping.contract.methods.ts";

const COLUMNS = Object.keys(shippingMethod).join(", ");
/** Columns of the method in `$1`, a JSON object. `countries` is in `$2`. */
const VALUES = `$1::jsonb->>'code', $1::jsonb->>'name', $2::text[], $1::jsonb->>'currency',
	($1::jsonb->>'price')::numeric, ($1::jsonb->>'free_from')::numeric, $1::jsonb->'tiers',
	($1::jsonb->>'position')::int`;

/** All methods, by position. */
export const LIST_METHODS = sql(
	"list_methods",
	`select ${COLUMNS} from shipping_methods order by position, code`,
);
/** Serializes the creation of methods, because their number is limited. */
export const LOCK_METHODS = "lock table shipping_methods in share row exclusive mode";
export const COUNT_METHODS = sql(
	"count_methods",
	"select count(*) as methods from shipping_methods",
);
/** Inserts a method, or nothing if its code is in use. */
export const INSERT_METHOD = sql(
	"insert_method",
	`insert into shipping_methods (code, name, countries, currency, price, free_from, tiers, position)
	values (${VALUES}) on conflict do nothing returning ${COLUMNS}`,
);
export const LOCK_METHOD = sql(
	"lock_method",
	`select ${COLUMNS} from shipping_methods where code = $1 for update`,
);
export const UPDATE_METHOD = sql(
	"update_method",
	`update shipping_methods
	set (code, name, countries, currency, price, free_from, tiers, position) = (${VALUES})
	where code = $1::jsonb->>'code' returning ${COLUMNS}`,
);
export const DELETE_METHOD = sql(
	"delete_method",
	"delete from shipping_methods where code = $1 returning code",
);
