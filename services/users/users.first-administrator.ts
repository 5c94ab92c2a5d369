import type { ServiceThis } from "../../lib/contracts/contract.ts";
import { sql, type Tx } from "../../lib/persistence/database.ts";
import { StartError } from "../../lib/process/start-error.ts";
import { envOf } from "../../lib/settings/env.ts";
import type { HasDatabase } from "../../mixins/database.mixin.ts";
import { fitsBcrypt } from "./users.rules.ts";

const TAKE_TURNS = sql("take_turns", "select pg_advisory_xact_lock(hashtext('administrators'))");
const ADMINS = sql(
	"admins",
	"select email from users where role = 'admin' order by email = $1 desc limit 1",
);
const OTHER_ADMIN = sql(
	"other_admin",
	"select id from users where role = 'admin' and is_active and id <> $1 limit 1",
);

interface Account {
	readonly email: string;
	readonly full_name: string;
	readonly role: "admin";
	readonly is_verified: boolean;
}
/** Creates an account if `mayCreate` holds in the same transaction. Returns undefined if it does not, or if the address is taken. */
type Create = (
	account: Account,
	password: string,
	mayCreate: (tx: Tx) => Promise<boolean>,
) => Promise<object | undefined>;

/**
 * Creates the administrator of ADMIN_EMAIL and ADMIN_PASSWORD if the shop has no administrator. It runs before other services see this
 * one, so a healthy shop has its administrator.
 * @throws StartError if bcrypt cannot hash the password
 */
export async function createFirstAdministrator(
	{ db, broker, logger }: ServiceThis & HasDatabase,
	create: Create,
): Promise<void> {
	const { ADMIN_EMAIL: email, ADMIN_PASSWORD: password } = envOf(broker);
	if (!password) return;
	if (!fitsBcrypt(password))
		throw new StartError("ADMIN_PASSWORD is longer than 72 bytes: set it to a shorter password");
	const [admin] = await db.query<{ email: string }>(ADMINS, [email]);
	if (admin) {
		if (admin.email !== email)
			logger.warn(
				"ADMIN_EMAIL is ignored: the shop has an administrator, who can give another user the role admin",
				{ email },
			);
		return;
	}
	const isFirst = async (tx: Tx) => {
		await tx.query(TAKE_TURNS);
		return (await tx.query(ADMINS, [email])).length === 0;
	};
	const created = await create(
		{ email, full_name: "Administrator", role: "admin", is_verified: true },
		password,
		isFirst,
	);
	if (created) logger.info("The first administrator was created", { email });
	else if ((await db.query(ADMINS, [email])).length === 0)
		// The owner of that account chose its password, so the role must not be added to it.
		logger.warn(
			"No administrator was created: ADMIN_EMAIL belongs to a customer. Set it to another address",
			{ email },
		);
}

/**
 * Whether an active administrator other than `id` exists. Administrators take turns until the transaction ends: two who remove each other
 * at once would otherwise both still see the other.
 */
export async function hasOtherAdministrator(tx: Tx, id: string): Promise<boolean> {
	await tx.query(TAKE_TURNS);
	return (await tx.query(OTHER_ADMIN, [id])).length > 0;
}
