import { settleWithin } from "../../lib/async/settle-within.ts";
import type { Traced } from "../../lib/context/traceparent.ts";
import { isError, throwError } from "../../lib/contracts/contract.ts";
import { assertDecimals } from "../../lib/contracts/decimals.ts";
import { invalidField } from "../../lib/contracts/errors.ts";
import { type CommandOrder, done, type Outcome, refused } from "../../lib/contracts/outcome.ts";
import type { Tx } from "../../lib/persistence/database.ts";
import { newId } from "../../lib/persistence/id.ts";
import { payments } from "./payments.contract.ts";
import type { Dependencies } from "./payments.dependencies.ts";
import { balanceOf, reportedBy } from "./payments.ledger.rules.ts";
import {
	lockPayment,
	lockPaymentOf,
	recordReports,
	writeUpdates,
} from "./payments.ledger-store.ts";
import { NOTHING_LEFT, type PaymentWithRefunds, planRefund } from "./payments.rules.ts";
import { CLAIM_LIMIT, CLAIM_UNSETTLED, LIST, UNSETTLED_OF } from "./payments.statements.ts";
import { fromUnits, toUnits } from "./payments.units.rules.ts";
import { isTombstone, type LockedPayment, ledgerOf, planReservation } from "./payments.updates.ts";
import type { PaymentProvider, RefundRequest, RefundResult } from "./providers/provider.ts";

/** A refund that is recorded but not settled. */
export interface Refund extends Traced {
	/** Also the idempotency key at the provider. */
	readonly id: string;
	readonly payment_id: string;
	readonly order_id: string;
	readonly amount: number;
	/** Whether the provider may have forgotten the refund's idempotency key. */
	readonly stale_key: boolean;
}

/** A part of an order to refund. */
interface OrderRefund extends CommandOrder {
	/** ID of the refund, which takes place once. */
	readonly refund_id: string;
	readonly amount: number;
	readonly reason: string | null;
}
const isRefund = (result: Refund | Outcome): result is Refund => "payment_id" in result;

/**
 * Creates refunds. A refund is first recorded, which reduces the refundable amount, and then
 * requested under its own ID until the provider has paid it, or has refused it. If the node dies in
 * between, the poller of any node, or a reversal, repeats the request.
 */
export function createRefunds(dependencies: Dependencies) {
	const { db, logger, provider, longLimits } = dependencies;

	/**
	 * Records a refund in the caller's transaction. `amount` defaults to the refundable amount.
	 * @throws PAYMENT_NOT_FOUND, NOT_REFUNDABLE, VALIDATION_ERROR
	 */
	async function reserve(
		tx: Tx,
		{ id, amount, reason = null }: { id: string; amount?: number; reason?: string | null },
	): Promise<{ payment: PaymentWithRefunds; refund: Refund }> {
		const locked = await lockPayment(tx, id);
		if (!locked) return throwError(payments, "PAYMENT_NOT_FOUND");
		const { order_id, currency } = locked.payment;
		if (amount !== undefined) {
			assertDecimals("amount", amount, currency);
			const refusal = refusalOf(amount, currency);
			if (refusal) throw invalidField("amount", "MONEY", refusal);
		}
		const refund = await record(tx, locked, { id: newId(), amount, reason });
		const [payment] = await tx.query<PaymentWithRefunds>(LIST, [order_id]);
		return { payment: payment!, refund };
	}

	/** Reason why the provider cannot refund an amount; undefined if it can. */
	const refusalOf = (amount: number, currency: string): string | undefined =>
		provider.canRefund && !provider.canRefund(amount, currency)
			? `The payment provider cannot refund exactly ${amount} ${currency}`
			: undefined;

	/** Records a refund of a locked payment. @throws NOT_REFUNDABLE */
	async function record(
		tx: Tx,
		locked: LockedPayment,
		{ id, amount, reason }: { id: string; amount: number | undefined; reason: string | null },
	): Promise<Refund> {
		const { id: payment_id, order_id, currency } = locked.payment;
		const { refundable } = balanceOf(ledgerOf(locked).values());
		const units = planRefund(locked.payment, refundable, amount);
		const refund = { id, amount: fromUnits(units, currency), reason };
		await writeUpdates(tx, [planReservation(locked, refund)]);
		return { id, payment_id, order_id, amount: refund.amount, stale_key: false };
	}

	/** Records a part of an order's payment as refund, unless its ID was recorded before. */
	function recordPart({ order_id, refund_id, amount, reason }: OrderRefund) {
		return db.transaction(async (tx): Promise<Refund | Outcome> => {
			const locked = await lockPaymentOf(tx, order_id);
			if (!locked || isTombstone(locked.payment)) return refused("NOT_REFUNDABLE", NOTHING_LEFT);
			if (locked.refunds.some(({ id }) => id === refund_id)) return done;
			const refusal = refusalOf(amount, locked.payment.currency);
			if (refusal) return refused("NOT_REFUNDABLE", refusal);
			try {
				return await record(tx, locked, { id: refund_id, amount, reason });
			} catch (error) {
				if (!isError(error, "NOT_REFUNDABLE")) throw error;
				return refused("NOT_REFUNDABLE", undefined, (error as { data?: object }).data);
			}
		});
	}

	/** Refunds parts of orders. Refunds that the provider has not confirmed are settled later. */
	async function refundOrders(orders: readonly OrderRefund[]): Promise<Outcome[]> {
		const results: (Refund | Outcome)[] = [];
		for (const order of orders) results.push(await recordPart(order));
		const refunds = results.filter(isRefund);
		await settle(refunds).catch((error) =>
			logger.warn("Refunds could not be settled; will retry", { error }),
		);
		return results.map((result) => (isRefund(result) ? done : result));
	}

	/** Requests refunds and returns those that the provider has neither accepted nor refused. */
	async function settle(refunds: readonly Refund[]): Promise<Refund[]> {
		if (refunds.length === 0) return [];
		const requests = refunds.map(({ id, order_id, amount, stale_key }) => ({
			key: id,
			authorization: order_id,
			amount,
			stale_key,
		}));
		const results = await settleWithin(requestRefunds(provider, requests), longLimits);
		const unconfirmed = refunds.filter((_, i) => results[i]?.status !== "fulfilled");
		const excessive = await findExcessive(unconfirmed);
		await recordReports(dependencies, [
			...refunds.flatMap((refund, i) => {
				const result = results[i];
				return result?.status === "fulfilled" ? reportsOf(refund, result.value) : [];
			}),
			...excessive,
		]);
		const failed = new Set(excessive.map(({ refund }) => refund));
		const open = unconfirmed.filter((refund) => !failed.has(refund));
		const error = results.find((result) => result?.status === "rejected")?.reason;
		if (open.length > 0)
			logger.warn("Payment provider did not confirm refunds; will retry", {
				refunds: open,
				error,
			});
		return open;
	}

	/**
	 * Reports of rejected refunds that can never be paid, because someone has refunded their amount
	 * at the provider. Each report also contains the provider's record, with that other refund.
	 */
	async function findExcessive(rejected: readonly Refund[]) {
		if (rejected.length === 0) return [];
		const lookups = provider.lookup(rejected.map(({ order_id }) => order_id));
		const records = await settleWithin(lookups, longLimits);
		return rejected.flatMap((refund, i) => {
			const found = records[i];
			if (found?.status !== "fulfilled" || !found.value) return [];
			const { transactions, result } = found.value;
			if (transactions.some(({ reference }) => reference === refund.id)) return [];
			// The currency is not known here; amounts without one have the smallest unit of all.
			const reported = reportedBy(found.value, { ...refund, currency: "" }, "");
			if (balanceOf(reported).refundable >= toUnits(refund.amount, "")) return [];
			const failure = { status: "failed", reference: refund.id, reason: EXCESSIVE } as const;
			return reportsOf(refund, failure).map((report) => ({
				order_id: refund.order_id,
				refund,
				result,
				transactions: [...transactions, ...report.transactions],
			}));
		});
	}

	return {
		reserve,
		refundOrders,
		settle,
		/**
		 * Settles the open refunds of payments and returns those that are still unsettled.
		 * @param traceparents by order ID
		 */
		async settleOf(
			paymentIds: readonly string[],
			traceparents: ReadonlyMap<string, Traced["traceparent"]> = new Map(),
		): Promise<Refund[]> {
			const refunds = await db.query<Refund>(UNSETTLED_OF, [paymentIds]);
			return settle(
				refunds.map((refund) => ({ ...refund, traceparent: traceparents.get(refund.order_id) })),
			);
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
const EXCESSIVE = "The amount was refunded otherwise";
/** The report of a refund's result; none while it is pending. */
function reportsOf(
	{ id, order_id, amount, traceparent }: Refund,
	{ status, reason }: RefundResult,
) {
	if (status === "pending") return [];
	const type = status === "failed" ? ("refund_failed" as const) : ("refund" as const);
	const at = new Date().toISOString();
	const common = { type, state: "succeeded" as const, reference: id, amount, at };
	return [{ order_id, traceparent, transactions: [{ ...common, ...(reason ? { reason } : {}) }] }];
}

export type Refunds = ReturnType<typeof createRefunds>;

/**
 * Requests refunds from the provider. A provider that has forgotten an idempotency key would pay
 * the same refund twice. A refund with a stale key is therefore looked up first, and requested only
 * if the provider has no record of it.
 */
function requestRefunds(
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
