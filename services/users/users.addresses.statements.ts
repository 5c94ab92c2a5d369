import { sql } from "../../lib/persistence/database.ts";
import { savedAddress } from "./users.contract.addresses.ts";

/** Maximum number of addresses of a user. */
const MAX_ADDRESSES = 50;

const FIELDS = Object.keys(savedAddress).filter((field) => field !== "id");
/** Columns of an address in the order of the parameters from `$3`. */
export const ADDRESS_FIELDS = FIELDS as Exclude<keyof typeof savedAddress, "id">[];
const COLUMNS = ["id", ...FIELDS].join(", ");
const parameterOf = (field: (typeof ADDRESS_FIELDS)[number]) =>
	`$${ADDRESS_FIELDS.indexOf(field) + 3}`;
const [SHIPPING, BILLING] = [
	parameterOf("is_default_shipping"),
	parameterOf("is_default_billing"),
].map((parameter) => `${parameter}::boolean`);
/**
 * Clears the defaults of user `$1` that address `$2` takes over. The statement that contains it
 * must read it before it writes: otherwise the unique indexes would find two defaults.
 */
const CLEARED = `cleared as (
	update addresses set is_default_shipping = is_default_shipping and not ${SHIPPING},
		is_default_billing = is_default_billing and not ${BILLING}
	where user_id = $1 and id <> $2
		and (${SHIPPING} and is_default_shipping or ${BILLING} and is_default_billing)
	returning id)`;

/** Lists the addresses of a user, oldest first (IDs grow with time). */
export const LIST = sql(
	"list_addresses",
	`select ${COLUMNS} from addresses where user_id = $1 order by id`,
);

/** Finds an address of a user. */
export const FIND = sql(
	"find_address",
	`select ${COLUMNS} from addresses where user_id = $1 and id = $2`,
);

/** Inserts an address of a locked user, unless the address book is full. */
export const INSERT = sql(
	"insert_address",
	`with ${CLEARED}
	insert into addresses (user_id, id, ${FIELDS.join(", ")})
	select $1::uuid, $2::uuid, ${FIELDS.map((field, i) => `$${i + 3}::${typeOf(field)}`).join(", ")}
	where (select count(*) from cleared) >= 0
		and ${MAX_ADDRESSES} > (select count(*) from addresses where user_id = $1)
	returning ${COLUMNS}`,
);

/** Updates all fields of an address of a locked user. */
export const UPDATE = sql(
	"update_address",
	`with ${CLEARED}
	update addresses set ${FIELDS.map((field, i) => `${field} = $${i + 3}`).join(", ")}
	where user_id = $1 and id = $2 and (select count(*) from cleared) >= 0
	returning ${COLUMNS}`,
);

/** Deletes an address of a user. */
export const DELETE = sql(
	"delete_address",
	"delete from addresses where user_id = $1 and id = $2 returning id",
);

/** Deletes all addresses of a user. */
export const DELETE_ALL = sql("delete_addresses", "delete from addresses where user_id = $1");

function typeOf(field: string): string {
	return savedAddress[field as keyof typeof savedAddress].type === "boolean" ? "boolean" : "text";
}
