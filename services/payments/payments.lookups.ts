import { settleWithin } from "../../lib/async/settle-within.ts";
import type { Dependencies } from "./payments.dependencies.ts";
import { type Report, recordReports } from "./payments.ledger-store.ts";
import type { Refunds } from "./payments.refunds.ts";
import type { createReversals } from "./payments.reversals.ts";
import { CLAIM_LIMIT, CLAIM_OPEN, CLAIM_SETTLED } from "./payments.statements.ts";

/** Looks payments up at the provider and records its reports, including those of lost webhooks. */
export function createLookups(
	dependencies: Dependencies,
	refunds: Refunds,
	{ reverse }: ReturnType<typeof createReversals>,
) {
	const { db, logger, provider, longLimits } = dependencies;

	/**
	 * Looks up the payments of orders, and records the reports, and settles the refunds that follow.
	 * @returns the orders whose lookup failed
	 */
	async function lookUp(orderIds: readonly string[]): Promise<string[]> {
		const results = await settleWithin(provider.lookup(orderIds), longLimits);
		const failed: string[] = [];
		const reports: Report[] = [];
		orderIds.forEach((order_id, i) => {
			const result = results[i];
			if (result?.status !== "fulfilled") {
				failed.push(order_id);
				logger.warn("Payment could not be looked up; will retry", {
					order_id,
					error: result?.reason,
				});
			} else if (result.value) reports.push({ order_id, ...result.value });
		});
		const rows = await recordReports(dependencies, reports);
		const reversed = [...rows.values()].flatMap(({ id, reversal }) => (reversal ? [id] : []));
		if (reversed.length > 0) await refunds.settleOf(reversed);
		return failed;
	}

	/**
	 * Looks up open payments, and repeats reversals that are not complete.
	 * @returns whether more payments may be due
	 */
	async function lookUpDue(): Promise<boolean> {
		const due = await db.query<{ order_id: string; is_reversed: boolean }>(CLAIM_OPEN);
		const reversed = due.filter(({ is_reversed }) => is_reversed);
		const others = due.filter(({ is_reversed }) => !is_reversed);
		if (others.length > 0) await lookUp(others.map(({ order_id }) => order_id));
		if (reversed.length > 0) await reverse(reversed.map(({ order_id }) => ({ order_id })));
		return due.length === CLAIM_LIMIT;
	}

	/**
	 * Looks up the payments of settled refunds, which may still fail.
	 * @returns whether more refunds may be due
	 */
	async function lookUpSettled(): Promise<boolean> {
		const due = await db.query<{ order_id: string; is_final: boolean }>(CLAIM_SETTLED);
		const open = due.flatMap(({ order_id, is_final }) => (is_final ? [] : [order_id]));
		if (open.length > 0) await lookUp([...new Set(open)]);
		return due.length === CLAIM_LIMIT;
	}

	return { lookUp, lookUpDue, lookUpSettled };
}
