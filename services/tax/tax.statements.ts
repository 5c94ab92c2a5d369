import { sql } from "../../lib/persistence/database.ts";

/** The table in the administrator's order. */
export const LIST = sql(
	"list",
	"select country, region, category, name, rate from tax_rates order by position",
);

/** Serializes replacements of the table. Does not block readers. */
export const LOCK = "lock table tax_rates in share row exclusive mode";
export const CLEAR = sql("clear", "delete from tax_rates");
/** Inserts the rows of a JSON array. */
export const INSERT = sql(
	"insert",
	`insert into tax_rates
			(country, region_key, category_key, region, category, name, rate, position)
		select row->>'country', row->>'region_key', row->>'category_key', row->>'region',
			row->>'category', row->>'name', (row->>'rate')::numeric, position
		from json_array_elements($1::json) with ordinality as given (row, position)`,
);

export const IS_CONFIGURED = sql(
	"is_configured",
	"select exists (select from tax_rates) as enabled",
);
export const OF_COUNTRIES = sql(
	"of_countries",
	`select country, region_key, category_key, name, rate from tax_rates
	where country = any($1::text[])`,
);
