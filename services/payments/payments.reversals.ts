import { settleWithin } from "../../lib/async/settle-within.ts";
import {
	type CommandOrder,
	distinctOrders,
	done,
	type Outcome,
	pending,
} from "../../lib/contracts/outcome.ts";
import { newId } from "../../lib/persistence/id.ts";
import type { Dependencies } from "./payments.dependencies.ts";
import { type Report, recordReports } from "./payments.ledger-store.ts";
import type { Refunds } from "./payments.refunds.ts";
import { GUEST } from "./payments.rules.ts";
import { BEGIN_REVERSAL, END_REVERSAL } from "./payments.statements.ts";
import { isOpen, type StoredPayment } from "./payments.updates.ts";
import type { ProviderResult } from "./providers/provider.ts";

type ReversedPayment = Pick<StoredPayment, "id" | "order_id" | "status" | "reversal">;

/** An order to reverse, with the data of a tombstone. */
interface ReversedOrder extends CommandOrder {
	/** Null for a guest; undefined if the caller does not know. */
	readonly user_id?: string | null;
	readonly currency?: string;
}

/** A tombstone as well: the provider may have charged the order without a record of it here. */
const isVoided = ({ status }: ReversedPayment) => status === "cancelled" || isOpen(status);

/**
 * Reverses charges, the compensation of the saga's payment step. It marks the payment (or inserts a
 * tombstone), then voids an authorization at the provider. An amount that is captured nevertheless
 * is paid out: recording a capture of a marked payment also records its refund. Idempotency keys
 * are the order ID for the void and the payment ID for the refund. After a crash or a race with a
 * charge, repeating the reversal is sufficient:
 * - Marked, but not reversed at the provider: a charge may still succeed there. The void then
 *   reports the capture. The reversal is `pending` until then, so it is repeated.
 * - Reversed at the provider, but not recorded: the provider returns the same results again.
 *
 * A payment that a bank is processing cannot be voided. Its reversal is `done` but not complete:
 * the payment is looked up until the bank has decided, and money that arrives is refunded.
 */
export function createReversals(dependencies: Dependencies, refunds: Refunds) {
	const { db, logger, provider, longLimits } = dependencies;

	/**
	 * Reverses the charges of orders and returns one outcome for each, `pending` if the provider has
	 * not confirmed it yet.
	 */
	async function reverse(orders: readonly ReversedOrder[]): Promise<Outcome[]> {
		const distinct = distinctOrders(orders);
		const payments = await db.query<ReversedPayment>(BEGIN_REVERSAL, [
			distinct.map(() => newId()),
			distinct.map(({ order_id }) => order_id),
			distinct.map(({ currency }) => currency),
			distinct.map(({ user_id }) => (user_id === null ? GUEST : user_id)),
		]);
		const marked = payments.filter(({ reversal }) => reversal === "begun");
		const { confirmed, processing, unconfirmed } = await voidPayments(marked.filter(isVoided));
		const others = marked.filter((payment) => !isVoided(payment));
		const reports = [...confirmed, ...others.map(({ order_id }): Report => ({ order_id }))];
		const traces = new Map(distinct.map(({ order_id, traceparent }) => [order_id, traceparent]));
		await recordReports(
			dependencies,
			reports.map((report) => ({ ...report, traceparent: traces.get(report.order_id) })),
		);
		const unsettled = await refunds.settleOf(
			marked.map(({ id }) => id),
			traces,
		);
		const isPending = new Set([...unconfirmed, ...unsettled.map(({ order_id }) => order_id)]);
		const ended = marked.filter(
			({ order_id }) => !isPending.has(order_id) && !processing.has(order_id),
		);
		if (ended.length > 0) await db.query(END_REVERSAL, [ended.map(({ id }) => id)]);
		return orders.map(({ order_id }) => (isPending.has(order_id) ? pending : done));
	}

	/** Voids payments and sorts their orders by the response. */
	async function voidPayments(payments: readonly ReversedPayment[]) {
		const requests = provider.void(
			payments.map(({ order_id }) => ({ key: order_id, authorization: order_id })),
		);
		const results = await settleWithin(requests, longLimits);
		const confirmed: { order_id: string; result: ProviderResult }[] = [];
		const unconfirmed: string[] = [];
		payments.forEach(({ order_id }, i) => {
			const result = results[i];
			if (result?.status === "fulfilled") confirmed.push({ order_id, result: result.value });
			else {
				unconfirmed.push(order_id);
				logger.warn("Payment provider did not confirm a reversal; will retry", {
					order_id,
					error: result?.reason,
				});
			}
		});
		const processing = new Set(
			confirmed.flatMap(({ order_id, result }) =>
				result.status === "processing" ? [order_id] : [],
			),
		);
		return { confirmed, processing, unconfirmed };
	}

	return { reverse };
}
