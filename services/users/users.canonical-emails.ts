import { Database, sql } from "../../lib/persistence/database.ts";
import { canonicalEmail } from "../../lib/text/email.ts";

const PAGE = 1000;
/**
 * Addresses that are canonical at a glance: nearly all, so that only the others leave the database.
 */
const PLAIN =
	"^[a-z0-9_+-]+(\\.[a-z0-9_+-]+)*@[a-z0-9]+(-+[a-z0-9]+)*(\\.[a-z0-9]+(-+[a-z0-9]+)*)*\\.[a-z]+$";
const UNUSUAL = sql(
	"unusual_emails",
	`select id, email from users where email !~ '${PLAIN}' and ($1::uuid is null or id > $1) order by id limit ${PAGE}`,
);
const OWNER = sql("owner_of_email", "select id from users where email = $1");
/** With the addresses that links prove or restore, so that links that were mailed stay valid. */
const RESPELL = sql(
	"respell_email",
	`with links as (update verifications set email = $3 where user_id = $1 and email = $2),
		changes as (update email_changes set old_email = $3 where user_id = $1 and old_email = $2)
	update users set email = $3, updated_at = now() where id = $1 and email = $2 returning id`,
);
const UNIQUE_VIOLATION = "23505";

export interface CanonicalEmails {
	/** How many accounts got their address in canonical form. */
	readonly changed: number;
	/**
	 * What an operator has to decide, a line for each account that stays as it is. Names accounts
	 * by their IDs, never by their addresses.
	 */
	readonly problems: readonly string[];
}

/**
 * Stores the e-mail addresses from before the canonical form was defined in that form. An account
 * whose canonical address belongs to another one, or that has none, stays as it is; its owner signs
 * in as before. May run at any time, beside nodes of any version, and again.
 */
export async function canonicalizeEmails(url: string): Promise<CanonicalEmails> {
	const db = new Database({ url, poolSize: 1 });
	const problems: string[] = [];
	let changed = 0;
	try {
		for (let last: string | null = null; ; ) {
			const page: { id: string; email: string }[] = await db.query(UNUSUAL, [last]);
			for (const { id, email } of page) {
				const canonical = canonicalEmail(repaired(email));
				if (canonical === email) continue;
				if (canonical === undefined)
					problems.push(`the address of user ${id} is none: an administrator can correct it`);
				else if (await respell(db, id, email, canonical)) changed++;
				else problems.push(await collision(db, id, canonical));
			}
			if (page.length < PAGE) return { changed, problems };
			last = page.at(-1)!.id;
		}
	} finally {
		await db.close();
	}
}

/** Without what was pasted around an address, and cannot be seen: it is of the same mailbox. */
const repaired = (email: string): string =>
	email.replace(/[<>\p{C}\p{Default_Ignorable_Code_Point}]/gu, "").replace(/\.$/, "");

/** @returns false if another user has the address */
async function respell(
	db: Database,
	id: string,
	email: string,
	canonical: string,
): Promise<boolean> {
	try {
		await db.query(RESPELL, [id, email, canonical]);
		return true;
	} catch (error) {
		if ((error as { code?: string }).code === UNIQUE_VIOLATION) return false;
		throw error;
	}
}

async function collision(db: Database, id: string, canonical: string): Promise<string> {
	const [owner] = await db.query<{ id: string }>(OWNER, [canonical]);
	return `users ${owner?.id} and ${id} have one address in two spellings: deactivate one of them, or give it another address`;
}
