import { type Queryable, sql } from "../../lib/persistence/database.ts";
import { digest } from "../../lib/security/secret-token.ts";
import { quotas } from "./notifications.rules.ts";
import type { Template } from "./notifications.templates.ts";

/**
 * Counts a message, and marks it as counted, unless its recipient's quota is used up: one
 * statement, so that senders at once do not exceed it.
 */
const COUNT = sql(
	"count_recipient",
	`with expired as (delete from recipient_quotas where (recipient_hash, template) in (
			select recipient_hash, template from recipient_quotas
			where started_at < now() - interval '1 day' and recipient_hash <> $2 limit 10 for update skip locked)),
		counted as (
			insert into recipient_quotas as q (recipient_hash, template, mails) values ($2, $3, 1)
			on conflict (recipient_hash, template) do update set
				mails = case when q.started_at < now() - make_interval(hours => $5) then 1 else q.mails + 1 end,
				started_at = case when q.started_at < now() - make_interval(hours => $5) then now() else q.started_at end
			where q.started_at < now() - make_interval(hours => $5) or q.mails < $4
			returning mails)
	update messages set counted = true where id = $1 and exists (select from counted) returning id`,
);
const WAIT = sql(
	"wait_for_quota",
	`select greatest(1, ceil(extract(epoch from started_at + make_interval(hours => $3) - now())))::int as seconds
	from recipient_quotas where recipient_hash = $1 and template = $2`,
);

/**
 * Counts a message against the quota of its recipient and template, once however often it is sent.
 * @returns undefined if it may be sent; else whether it is dropped or waits for so many seconds
 */
export async function beyondQuota(
	db: Queryable,
	{
		id,
		template,
		counted,
	}: { readonly id: string; readonly template: Template; readonly counted: boolean },
	address: string,
): Promise<"drop" | number | undefined> {
	if (counted) return undefined;
	const { mails, hours, beyond } = quotas[template];
	const recipient = digest(address);
	if ((await db.query(COUNT, [id, recipient, template, mails, hours])).length > 0) return undefined;
	if (beyond === "drop") return "drop";
	const [wait] = await db.query<{ seconds: number }>(WAIT, [recipient, template, hours]);
	return wait?.seconds ?? 1;
}
