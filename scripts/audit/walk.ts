import type { Call } from "../../lib/contracts/contract.ts";
import type {} from "../../services/orders/orders.contract.ts";

export interface AuditReport {
	checked: number;
	skipped: number;
	/** Orders there were when it began. */
	total: number;
	/** Orders that wait for somebody, in all. */
	stuck: number;
	violations: { invariant: string; subject: string; detail: string }[];
}

/** Has everything audited, call by call. */
export async function walkAudit(
	call: Call,
	wish: { since?: string; quiet?: number; recheck?: number },
	onProgress: (soFar: AuditReport) => void = () => undefined,
): Promise<AuditReport> {
	const report: AuditReport = { checked: 0, skipped: 0, total: 0, stuck: 0, violations: [] };
	for (let after: string | null | undefined; after !== null; ) {
		const page = await call("orders.audit", { ...wish, ...(after ? { after } : {}) });
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
