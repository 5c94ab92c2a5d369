import { settleWithin } from "../../lib/async/settle-within.ts";
import { currentTraceparent } from "../../lib/context/traceparent.ts";
import { throwError } from "../../lib/contracts/contract.ts";
import type { Tx } from "../../lib/persistence/database.ts";
import { newId } from "../../lib/persistence/id.ts";
import { payments } from "./payments.contract.ts";
import type { Dependencies } from "./payments.dependencies.ts";
import {
	assertDecimals,
	type Payment,
	type PaymentWithRefunds,
	planRefund,
} from "./payments.rules.ts";
import {
	CLAIM_LIMIT,
	CLAIM_UNSETTLED,
	LIST,
	LOCK_PAYMENT,
	RESERVE_REFUND,
	SETTLE,
	UNSETTLED_OF,
} from "./payments.statements.ts";
import type { PaymentProvider, RefundRequest, RefundResult } from "./providers/provider.ts";

/** A refund that is recorded but not settled. */
export interface Refund {
	/** Also the idempotency key at the provider. */
	readonly id: string;
	readonly payment_id: string;
	readonly order_id: string;
	readonly currency: string;
	readonly amount: number;
	/** Whether the provider may have forgotten the refund's idempotency key. */
	readonly stale_key: boolean;
}

/**
 * Creates refunds. A refund is first recorded, which reduces the refundable amount, and then
 * requested under its own ID until the provider confirms it. If the node dies in between, the
 * poller of any node, or a reversal, repeats the request.
 */
export function createRefunds(dependencies: Dependencies) {
	const { db, eventData, wakeRelay, logger, provider, limits } = dependencies;

	/**
	 * Records a refund in the caller's transaction. `amount` defaults to the refundable amount.
	 * @throws PAYMENT_NOT_FOUND, NOT_REFUNDABLE, VALIDATION_ERROR
	 */
	async function reserve(
		tx: Tx,
		{ id, amount, reason }: { id: string; amount?: number; reason?: string },
	): Promise<{ payment: PaymentWithRefunds; refund: Refund }> {
		const [found] = await tx.query<Payment & { reversal: string | null }>(LOCK_PAYMENT, [id]);
		if (!found) return throwError(payments, "PAYMENT_NOT_FOUND");
		const { order_id, currency } = found;
		if (amount !== undefined) assertDecimals(amount, currency);
		const plan = planRefund(found, amount);
		const refund: Refund = {
			id: newId(),
			payment_id: id,
			order_id,
			currency,
			amount: plan.amount,
			stale_key: false,
		};
		const values = [id, refund.id, plan.amount, reason ?? null, plan.status];
		await tx.query(RESERVE_REFUND, values);
		const [payment] = await tx.query<PaymentWithRefunds>(LIST, [order_id, null]);
		return { payment: payment!, refund };
	}

	/** Requests refunds and returns those that the provider did not confirm in time. */
	async function settle(refunds: readonly Refund[]): Promise<Refund[]> {
		if (refunds.length === 0) return [];
		const requests = refunds.map(({ id, order_id, amount, stale_key }) => ({
			key: id,
			authorization: order_id,
			amount,
			stale_key,
		}));
		const results = await settleWithin(requestRefunds(provider, requests), limits);
		const settled = refunds.filter((_, i) => results[i]?.status === "fulfilled");
		if (settled.length > 0) await recordSettled(settled);
		const open = refunds.filter((refund) => !settled.includes(refund));
		const error = results.find((result) => result?.status === "rejected")?.reason;
		if (open.length > 0)
			logger.warn("Payment provider did not confirm refunds; will retry", {
				refunds: open,
				error,
			});
		return open;
	}

	async function recordSettled(refunds: readonly Refund[]): Promise<void> {
		await db.query(SETTLE, [
			refunds.map(({ id }) => id),
			refunds.map(({ order_id }) => order_id),
			refunds.map(({ order_id, payment_id, amount, currency }) =>
				eventData("payment.refunded", { order_id, payment_id, amount, currency }),
			),
			currentTraceparent(),
		]);
		wakeRelay();
	}

	return {
		reserve,
		settle,
		/** Settles the open refunds of payments and returns those that are still unsettled. */
		async settleOf(paymentIds: readonly string[]): Promise<Refund[]> {
			return settle(await db.query<Refund>(UNSETTLED_OF, [paymentIds]));
		},
		/**
		 * Settles refunds of interrupted requests.
		 * @returns whether more refunds may be due
		 */
		async settleDue(): Promise<boolean> {
			const refunds = await db.query<Refund>(CLAIM_UNSETTLED);
			await settle(refunds);
			return refunds.length === CLAIM_LIMIT;
		},
	};
}
export type Refunds = ReturnType<typeof createRefunds>;

/**
 * Requests refunds from the provider. A provider that has forgotten an idempotency key would pay
 * the same refund twice. A refund with a stale key is therefore looked up first, and requested only
 * if the provider has no record of it.
 */
export function requestRefunds(
	provider: Pick<PaymentProvider, "refund" | "findRefunds">,
	requests: readonly (RefundRequest & { readonly stale_key: boolean })[],
): Promise<RefundResult>[] {
	const stale = requests.filter(({ stale_key }) => stale_key);
	const fresh = requests.filter(({ stale_key }) => !stale_key);
	const refunds = provider.refund(fresh);
	const lookups = provider.findRefunds(stale);
	const repeated = stale.map(async (request, i) => {
		return (await lookups[i]) ?? provider.refund([request])[0]!;
	});
	const results = [...refunds, ...repeated];
	const byRequest = new Map([...fresh, ...stale].map((request, i) => [request, results[i]!]));
	return requests.map((request) => byRequest.get(request)!);
}
