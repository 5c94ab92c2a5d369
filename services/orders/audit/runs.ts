import type { Logger } from "moleculer";
import { throwError } from "../../../lib/contracts/contract.ts";
import type { Infer } from "../../../lib/contracts/schema.ts";
import {
	approximateCount,
	type PageRequest,
	pageOf,
} from "../../../lib/persistence/approximate-count.ts";
import type { Database } from "../../../lib/persistence/database.ts";
import { firstIdAt, newId } from "../../../lib/persistence/id.ts";
import { isUnavailable } from "../../../lib/resilience/outages.ts";
import type { audit } from "../orders.contract.admin.ts";
import { orders } from "../orders.contract.ts";
import type { createAudit } from "./audit.ts";
import type { Violation } from "./records.ts";
import * as statements from "./runs.statements.ts";

type Audit = Infer<typeof audit>;
interface ClaimedAudit {
	readonly id: string;
	readonly attempt: number;
	/** Attempts since the last saved page, including this one. */
	readonly tries: number;
	readonly position: string | null;
	readonly since: string | null;
}

/**
 * Lease of a node that works on a page. Longer than two checks of a page with calls that time out;
 * after the death of the node, another one continues after this time.
 */
const LEASE_SECONDS = 60;
/** Pages are short, because a node that stops waits for the current one. */
const BUDGET_MS = 1000;
/** Orders that changed within this number of seconds are skipped. */
const QUIET_SECONDS = 60;
/** Milliseconds after which a suspected violation is checked again. */
const RECHECK_MS = 1000;
const MAX_DELAY_SECONDS = 60;
/** With the longest delay, an audit fails after about half an hour without a saved page. */
const MAX_TRIES = 30;
const RETENTION_MS = 90 * 86_400_000;

interface AuditRunsOptions {
	readonly db: Database;
	readonly auditor: ReturnType<typeof createAudit>;
	readonly logger: Logger;
	/** Receives the number of violations of each page. */
	countViolations(violations: number): void;
}

/**
 * Audits as rows, which survive the death of a node: one node at a time checks a page, saves its
 * result with the position of the next one, and releases the lease.
 */
export function createAuditRuns({ db, auditor, logger, countViolations }: AuditRunsOptions) {
	/** Saves the page of a claimed audit, unless another node has claimed it in the meantime. */
	async function advance({ id, attempt, position, since }: ClaimedAudit): Promise<void> {
		const page = await auditor.audit({
			...(position ? { after: position } : {}),
			...(since ? { since } : {}),
			quiet: QUIET_SECONDS,
			recheck: RECHECK_MS,
			budgetMs: BUDGET_MS,
		});
		const { violations } = page;
		countViolations(violations.length);
		await db.query(statements.SAVE, [
			...[id, attempt, page.next, page.total, page.checked, page.skipped],
			violations.map(({ invariant }) => invariant),
			violations.map(({ subject }) => subject),
			violations.map(({ detail }) => detail),
		]);
	}

	/** Repeats the page later, or gives up. */
	async function postpone({ id, attempt, tries }: ClaimedAudit, error: unknown): Promise<void> {
		logger.warn("The page of an audit could not be checked; will retry", { audit_id: id, error });
		const delay = Math.min(MAX_DELAY_SECONDS, 2 ** tries) * (0.5 + Math.random() / 2);
		if (tries < MAX_TRIES) await db.query(statements.POSTPONE, [id, attempt, delay]);
		else await db.query(statements.FAIL, [id, attempt, reasonOf(error)]);
	}

	return {
		/** @throws AUDIT_RUNNING with the ID of the running audit */
		async start(requested_by: string, since?: string): Promise<Audit> {
			const values = [newId(), since ?? null, requested_by];
			const [started] = await db.query<Audit>(statements.START, values);
			if (started) return started;
			const [running] = await db.query<{ id: string }>(statements.FIND_RUNNING);
			return throwError(orders, "AUDIT_RUNNING", running ? { audit_id: running.id } : {});
		},

		async list({ skip, limit }: PageRequest): Promise<{ rows: Audit[]; total: number }> {
			const [rows, total] = await Promise.all([
				db.query<Audit>(statements.PAGE, [skip, limit]),
				approximateCount(db, statements.ALL),
			]);
			return pageOf(rows, total, { skip, limit });
		},

		/** @throws AUDIT_NOT_FOUND */
		async get(id: string): Promise<Audit & { violations: Violation[] }> {
			const [found] = await db.query<Audit>(statements.FIND, [id]);
			if (!found) return throwError(orders, "AUDIT_NOT_FOUND");
			const violations = await db.query<Violation & Record<string, unknown>>(
				statements.FIND_VIOLATIONS,
				[id],
			);
			return { ...found, violations };
		},

		/**
		 * Checks the next page of the running audit, unless another node does.
		 * @returns whether the audit may have further pages
		 */
		async poll(): Promise<boolean> {
			const [claimed] = await db.query<ClaimedAudit & Record<string, unknown>>(statements.CLAIM, [
				LEASE_SECONDS,
			]);
			if (!claimed) return false;
			try {
				// More tries than allowed: the page ends the process of each node.
				if (claimed.tries > MAX_TRIES) throw new Error("Too many nodes have failed");
				await advance(claimed);
				return true;
			} catch (error) {
				await postpone(claimed, error);
				return false;
			}
		},

		/** Deletes old audits. @returns whether there may be more */
		async prune(): Promise<boolean> {
			const end = firstIdAt(new Date(Date.now() - RETENTION_MS));
			return (await db.query(statements.PRUNE, [end])).length === statements.PRUNE_LIMIT;
		},
	};
}

const reasonOf = (error: unknown): string =>
	isUnavailable(error)
		? "Another service did not respond for too long"
		: "An unexpected error; the log of the orders service contains it";
