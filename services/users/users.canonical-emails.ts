import { Database, sql } from "../../lib/persistence/database.ts";
import { canonicalEmail } from "../../lib/text/email.ts";

const PAGE_SIZE = 1000;
/** Milliseconds for a statement, which may read all users. */
const STATEMENT_MS = 600_000;
/** Addresses that are certainly canonical: nearly all, so that few leave the database. */
const CANONICAL =
	"^[a-z0-9_+-]+(\\.[a-z0-9_+-]+)*@[a-z0-9]+(-+[a-z0-9]+)*(\\.[a-z0-9]+(-+[a-z0-9]+)*)*\\.[a-z]+$";
/** Lists users whose address may not be canonical, after ID `$1`. */
const LIST_UNUSUAL = sql(
	"list_unusual_emails",
	`select id, email from users
	where email !~ '${CANONICAL}' and ($1::uuid is null or id > $1)
	order by id limit ${PAGE_SIZE}`,
);
/** Finds the user with an address. */
const FIND_OWNER = sql("find_owner_of_email", "select id from users where email = $1");
/** Replaces an address, also in mailed links, so that these stay valid. */
const REPLACE = sql(
	"replace_email",
	`with links as (update verifications set email = $3 where user_id = $1 and email = $2),
		changes as (update email_changes set old_email = $3 where user_id = $1 and old_email = $2)
	update users set email = $3, updated_at = now() where id = $1 and email = $2 returning id`,
);
const UNIQUE_VIOLATION = "23505";

interface CanonicalEmails {
	/** Number of accounts whose address was changed. */
	readonly changed: number;
	/**
	 * Decisions for an operator, one line for each account that was not changed. They contain IDs of
	 * accounts but no addresses.
	 */
	readonly problems: readonly string[];
}

/**
 * Converts addresses that older versions stored to canonical form. An account without a canonical
 * address, or whose canonical address belongs to another account, is not changed, and its owner
 * signs in as before. Safe to repeat, and to run while nodes of any version are active.
 */
export async function canonicalizeEmails(url: string): Promise<CanonicalEmails> {
	const db = new Database({ url, poolSize: 1, statementMs: STATEMENT_MS });
	const problems: string[] = [];
	let changed = 0;
	try {
		for (let last: string | null = null; ; ) {
			const page: { id: string; email: string }[] = await db.query(LIST_UNUSUAL, [last]);
			for (const { id, email } of page) {
				const canonical = canonicalEmail(withoutNoise(email));
				if (canonical === email) continue;
				if (canonical === undefined)
					problems.push(`the address of user ${id} is invalid: an administrator can correct it`);
				else if (await replaceEmail(db, id, email, canonical)) changed++;
				else problems.push(await describeCollision(db, id, canonical));
			}
			if (page.length < PAGE_SIZE) return { changed, problems };
			last = page.at(-1)!.id;
		}
	} finally {
		await db.close();
	}
}

/** Removes brackets, invisible characters and a final dot, which do not change the mailbox. */
const withoutNoise = (email: string): string =>
	email.replace(/[<>\p{C}\p{Default_Ignorable_Code_Point}]/gu, "").replace(/\.$/, "");

/** Replaces the address of a user. @returns false if another user has the new address */
async function replaceEmail(
	db: Database,
	id: string,
	email: string,
	canonical: string,
): Promise<boolean> {
	try {
		await db.query(REPLACE, [id, email, canonical]);
		return true;
	} catch (error) {
		if ((error as { code?: string }).code === UNIQUE_VIOLATION) return false;
		throw error;
	}
}

async function describeCollision(db: Database, id: string, canonical: string): Promise<string> {
	const [owner] = await db.query<{ id: string }>(FIND_OWNER, [canonical]);
	return (
		`users ${owner?.id} and ${id} have the same address in two spellings: ` +
		"deactivate one of them or change its address"
	);
}
