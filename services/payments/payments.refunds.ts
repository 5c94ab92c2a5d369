import type { Logger } from "moleculer";
import { type SettleLimits, settleWithin } from "../../lib/async/settle-within.ts";
import { currentTraceparent } from "../../lib/context/traceparent.ts";
import { throwError } from "../../lib/contracts/contract.ts";
import type { Tx } from "../../lib/persistence/database.ts";
import { newId } from "../../lib/persistence/id.ts";
import type { HasDatabase } from "../../mixins/database.mixin.ts";
import type { HasDurableEvents } from "../../mixins/durable-events.mixin.ts";
import { payments } from "./payments.contract.ts";
import { assertAmount, type Payment, type PaymentSeen, planRefund } from "./payments.rules.ts";
import {
	CLAIM_UNSETTLED,
	LIST,
	LOCK_PAYMENT,
	RESERVE_REFUND,
	SETTLE,
	SWEPT_AT_ONCE,
	UNSETTLED_OF,
} from "./payments.statements.ts";
import type { PaymentProvider, RefundRequest } from "./providers/provider.ts";

/** What moving money takes: this service's books, its events, and who moves it. */
export interface Dependencies
	extends HasDatabase,
		Pick<HasDurableEvents, "eventData" | "wakeRelay"> {
	readonly logger: Pick<Logger, "warn">;
	readonly provider: PaymentProvider;
	readonly patience: SettleLimits;
}
/** A refund that is written down, as the provider needs to know it. */
export interface Refund {
	readonly id: string;
	readonly payment_id: string;
	readonly order_id: string;
	readonly currency: string;
	readonly amount: number;
	/** Whether the provider may have forgotten the refund's idempotency key. */
	readonly stale_key: boolean;
}

/**
 * Requests refunds. A provider that has forgotten an idempotency key would pay the same refund twice, so a refund with a stale key is looked
 * up first and requested only if the provider has no record of it.
 */
export function requestRefunds(
	provider: Pick<PaymentProvider, "refund" | "findRefunds">,
	requests: readonly (RefundRequest & { readonly stale_key: boolean })[],
): Promise<void>[] {
	const stale = requests.filter(({ stale_key }) => stale_key);
	const fresh = requests.filter(({ stale_key }) => !stale_key);
	const refunds = provider.refund(fresh);
	const lookups = provider.findRefunds(stale);
	const repeated = stale.map(async (request, i) => {
		if (!(await lookups[i])) await provider.refund([request])[0];
	});
	const results = [...refunds, ...repeated];
	const byRequest = new Map([...fresh, ...stale].map((request, i) => [request, results[i]!]));
	return requests.map((request) => byRequest.get(request)!);
}

/**
 * A refund is first written down, which takes its amount out of what is left, and then asked of the provider under its own id until the
 * provider has confirmed it. Whoever wrote it down may die in between: a sweep on any node, or a reversal, asks again.
 */
export function createRefunds({
	db,
	eventData,
	wakeRelay,
	logger,
	provider,
	patience,
}: Dependencies) {
	/** Takes a refund's amount out of what is left. @throws PAYMENT_NOT_FOUND, NOT_REFUNDABLE */
	async function reserve(
		tx: Tx,
		{ id, amount, reason }: { id: string; amount?: number; reason?: string },
	) {
		const [found] = await tx.query<Payment & { reversal: string | null }>(LOCK_PAYMENT, [id]);
		if (!found) return throwError(payments, "PAYMENT_NOT_FOUND");
		if (amount !== undefined) assertAmount(amount, found.currency);
		const plan = planRefund(found, amount);
		const refund_id = newId();
		await tx.query(RESERVE_REFUND, [id, refund_id, plan.amount, reason ?? null, plan.status]);
		const { order_id, currency } = found;
		const refund: Refund = {
			id: refund_id,
			payment_id: id,
			order_id,
			currency,
			amount: plan.amount,
			stale_key: false,
		};
		const [payment] = await tx.query<PaymentSeen>(LIST, [order_id, null]);
		return { payment: payment!, refund };
	}

	/** Has refunds paid out; answers those that the provider did not confirm promptly. */
	async function settle(refunds: readonly Refund[]): Promise<Refund[]> {
		if (refunds.length === 0) return [];
		const requests = refunds.map(({ id, order_id, amount, stale_key }) => ({
			key: id,
			authorization: order_id,
			amount,
			stale_key,
		}));
		const heard = await settleWithin(requestRefunds(provider, requests), patience);
		const settled = refunds.filter((_, i) => heard[i]?.status === "fulfilled");
		const facts = settled.map(({ order_id, payment_id, amount, currency }) =>
			eventData("payment.refunded", { order_id, payment_id, amount, currency }),
		);
		const ids = [settled.map(({ id }) => id), settled.map(({ order_id }) => order_id)];
		if (settled.length > 0) await db.query(SETTLE, [...ids, facts, currentTraceparent()]);
		wakeRelay();
		const open = refunds.filter((refund) => !settled.includes(refund));
		const error = heard.find((result) => result?.status === "rejected")?.reason;
		if (open.length > 0)
			logger.warn("The payment provider has not confirmed refunds and will be asked again", {
				refunds: open,
				error,
			});
		return open;
	}

	return {
		reserve,
		settle,
		/** Has the unfinished refunds of these payments paid out; answers those that still are not. */
		async settleOf(paymentIds: readonly string[]): Promise<Refund[]> {
			return settle(await db.query<Refund>(UNSETTLED_OF, [paymentIds]));
		},
		/**
		 * Settles refunds that an earlier request left unsettled.
		 * @returns whether more refunds may be due
		 */
		async sweep(): Promise<boolean> {
			const found = await db.query<Refund>(CLAIM_UNSETTLED);
			await settle(found);
			return found.length === SWEPT_AT_ONCE;
		},
	};
}
export type Refunds = ReturnType<typeof createRefunds>;
