import { sql } from "../../../lib/persistence/database.ts";
import { MAX_FINDINGS } from "../orders.contract.admin.ts";

/** Columns of an audit as the API returns it. */
const AUDIT = `id, status, since, total, checked, skipped, violation_count, started_at, finished_at,
	requested_by, failure`;

/** Starts an audit unless one is running. */
export const START = sql(
	"audit_start",
	`insert into audits (id, status, since, requested_by) values ($1, 'running', $2, $3)
	on conflict (status) where status = 'running' do nothing returning ${AUDIT}`,
);
export const FIND_RUNNING = sql(
	"audit_find_running",
	"select id from audits where status = 'running'",
);
export const FIND = sql("audit_find", `select ${AUDIT} from audits where id = $1`);
export const FIND_VIOLATIONS = sql(
	"audit_find_violations",
	`select invariant, subject, detail from audit_violations where audit_id = $1 order by position`,
);
/** One page of audits, newest first. */
export const PAGE = sql(
	"audit_page",
	`select ${AUDIT} from audits order by id desc offset $1 limit $2`,
);
export const ALL = sql("audit_all", "select from audits");

/** Claims the running audit for `$1` seconds, unless another node has the lease. */
export const CLAIM = sql(
	"audit_claim",
	`update audits set lease_until = now() + make_interval(secs => $1), attempt = attempt + 1,
		tries = tries + 1
	where id in (select id from audits where status = 'running' and lease_until <= now()
		for update skip locked)
	returning id, attempt, tries, position, since`,
);

/** The node that claimed the audit has not lost its lease to another one. */
const CLAIMED = "where id = $1 and attempt = $2 and status = 'running'";
/**
 * Saves a page and releases the lease; the audit is completed if no position follows. Counts all
 * violations and keeps the first ones.
 */
export const SAVE = sql(
	"audit_save",
	`with saved as (
		update audits set position = $3, total = coalesce(total, $4), checked = checked + $5,
			skipped = skipped + $6, violation_count = violation_count + cardinality($7::text[]),
			status = case when $3::text is null then 'completed' else status end,
			finished_at = case when $3::text is null then now() end,
			lease_until = now(), tries = 0
		${CLAIMED} returning id, violation_count - cardinality($7::text[]) as earlier)
	insert into audit_violations (audit_id, position, invariant, subject, detail)
	select id, earlier + n, invariant, subject, detail
	from saved, unnest($7::text[], $8::text[], $9::text[])
		with ordinality as w(invariant, subject, detail, n)
	where earlier + n <= ${MAX_FINDINGS}`,
);
/** Makes an audit due again after `$3` seconds. */
export const POSTPONE = sql(
	"audit_postpone",
	`update audits set lease_until = now() + make_interval(secs => $3) ${CLAIMED}`,
);
export const FAIL = sql(
	"audit_fail",
	`update audits set status = 'failed', finished_at = now(), failure = $3 ${CLAIMED}`,
);

/** Maximum number of audits that one statement deletes. */
export const PRUNE_LIMIT = 100;
/** Deletes finished audits with IDs before `$1`. */
export const PRUNE = sql(
	"audit_prune",
	`delete from audits where id in (
		select id from audits where id < $1 and status <> 'running' limit ${PRUNE_LIMIT})
	returning id`,
);
