import type { Call } from "../../lib/contracts/contract.ts";
import type {} from "../../services/orders/orders.contract.ts";

interface AuditReport {
	checked: number;
	skipped: number;
	/** Number of orders when the audit began. */
	total: number;
	/** Number of all stuck orders, which require an operator. */
	stuck: number;
	violations: { invariant: string; subject: string; detail: string }[];
}

/**
 * Audits all orders, or those since a time, page by page. `onProgress` receives the running totals.
 */
export async function walkAudit(
	call: Call,
	options: { since?: string; quiet?: number; recheck?: number },
	onProgress: (report: AuditReport) => void = () => undefined,
): Promise<AuditReport> {
	const report: AuditReport = { checked: 0, skipped: 0, total: 0, stuck: 0, violations: [] };
	for (let after: string | null | undefined; after !== null; ) {
		const page = await call("orders.audit", { ...options, ...(after ? { after } : {}) });
		report.checked += page.checked;
		report.skipped += page.skipped;
		report.total = page.total ?? report.total;
		report.violations.push(...page.violations);
		after = page.next;
		onProgress(report);
	}
	report.stuck = (await call("orders.stuck", { limit: 1 })).count;
	return report;
}
