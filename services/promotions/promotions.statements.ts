import { sql } from "../../lib/persistence/database.ts";
import type { Fields } from "./promotions.rules.ts";

/** Columns that an administrator sets, in the order of the parameters of INSERT and UPDATE. */
const FIELDS = [
	"name",
	"code",
	"starts_at",
	"ends_at",
	"priority",
	"combinable",
	"currency",
	"conditions",
	"effect",
	"usage_limit",
	"usage_limit_per_customer",
	"budget",
] as const satisfies (keyof Fields)[];
const PARAMETERS = FIELDS.map((_, i) => `$${i + 2}`).join(", ");
const APPLICABLE = `id, ${FIELDS.join(", ")}, is_exhausted`;
const PROMOTION = `id, ${FIELDS.join(", ")}, used, spent, is_exhausted, created_at, updated_at`;
const HAS_NOT_ENDED = "deleted_at is null and (ends_at is null or ends_at > now())";

/** Parameters of {@link INSERT_PROMOTION} and {@link UPDATE_PROMOTION}. */
export const promotionValues = (id: string, fields: Fields): unknown[] => [
	id,
	...FIELDS.map((field) =>
		field === "conditions" || field === "effect" ? JSON.stringify(fields[field]) : fields[field],
	),
];

/** Inserts a promotion unless its code is in use. */
export const INSERT_PROMOTION = sql(
	"insert_promotion",
	`insert into promotions (id, ${FIELDS.join(", ")}) values ($1, ${PARAMETERS})
	on conflict do nothing returning ${PROMOTION}`,
);

/** Changes a promotion. Fails if its code is in use. */
export const UPDATE_PROMOTION = sql(
	"update_promotion",
	`update promotions
	set (${FIELDS.join(", ")}) = (${PARAMETERS}), budget_exceeded = false, updated_at = now()
	where id = $1 returning ${PROMOTION}`,
);

/** A promotion that is not deleted, locked until the end of the transaction. */
export const LOCK_PROMOTION = sql(
	"lock_promotion",
	`select ${PROMOTION} from promotions where id = $1 and deleted_at is null for update`,
);

export const DELETE_PROMOTION = sql(
	"delete_promotion",
	"update promotions set deleted_at = now() where id = $1 and deleted_at is null returning id",
);

/** Automatic promotions that have not ended. */
export const FIND_AUTOMATIC = sql(
	"find_automatic",
	`select ${APPLICABLE} from promotions where code is null and ${HAS_NOT_ENDED}
	order by priority desc, id`,
);

/** Promotions with the codes `$1`, in lower case, that have not ended. */
export const FIND_BY_CODES = sql(
	"find_by_codes",
	`select ${APPLICABLE} from promotions where lower(code) = any($1::text[]) and ${HAS_NOT_ENDED}`,
);

/** Serializes transactions that decide by the number of automatic promotions. */
export const LOCK_AUTOMATIC = sql(
	"lock_automatic",
	"select pg_advisory_xact_lock(hashtext('promotions.automatic'))",
);

/** Number of automatic promotions that have not ended, and the bytes of their texts. */
export const MEASURE_AUTOMATIC = sql(
	"measure_automatic",
	`select count(*) as count,
		coalesce(sum(octet_length(conditions::text) + octet_length(name)), 0) as bytes
	from promotions where code is null and ${HAS_NOT_ENDED}`,
);
