import type { Queryable } from "../../lib/persistence/database.ts";
import { digest } from "../../lib/security/secret-token.ts";
import { quotaOf } from "./notifications.rules.ts";
import { COUNT_AGAINST_QUOTA, type DueMessage, QUOTA_WAIT } from "./notifications.statements.ts";

/** `send`: within the quota. `drop`: never send. A number: seconds until the quota starts again. */
type QuotaDecision = "send" | "drop" | number;

/**
 * Counts a message against the quota of its recipient and template. Repeated attempts of a message
 * count once. Addresses are stored as hashes.
 */
export async function applyQuota(
	db: Queryable,
	message: Pick<DueMessage, "id" | "template" | "user_id" | "counted">,
	address: string,
): Promise<QuotaDecision> {
	const { id, template, counted } = message;
	if (counted) return "send";
	const { mails, hours, overflow } = quotaOf(message);
	const recipient = digest(address);
	const rows = await db.query(COUNT_AGAINST_QUOTA, [id, recipient, template, mails, hours]);
	if (rows.length > 0) return "send";
	if (overflow === "drop") return "drop";
	const [wait] = await db.query<{ seconds: number }>(QUOTA_WAIT, [recipient, template, hours]);
	return wait?.seconds ?? 1;
}
