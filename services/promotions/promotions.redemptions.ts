import type { Cached } from "../../lib/caching/lease-cache.ts";
import { traceparentsOf } from "../../lib/context/traceparent.ts";
import {
	type CommandOrder,
	distinctOrders,
	done,
	type Outcome,
	orderIds,
	pending,
	refused,
	statusByOrder,
} from "../../lib/contracts/outcome.ts";
import type { Tx } from "../../lib/persistence/database.ts";
import type { ReservationRef } from "../../lib/saga/expiry.ts";
import type { HasDatabase } from "../../mixins/database.mixin.ts";
import type { HasDurableEvents } from "../../mixins/durable-events.mixin.ts";
import {
	allocate,
	type CustomerUses,
	type Limits,
	mergeUses,
	type RedemptionRequest,
} from "./promotions.allocation.rules.ts";
import { REDEMPTIONS } from "./promotions.expiry.ts";
import * as statements from "./promotions.redemptions.statements.ts";
import type { Applicable } from "./promotions.rules.ts";

interface Dependencies extends HasDatabase, Pick<HasDurableEvents, "eventData" | "wakeRelay"> {
	readonly rows: Cached<Applicable>;
	/** Lifetime of a redemption until the status of its order is checked. */
	readonly seconds: number;
}
export type Status = "redeemed" | "released";
type Row = { order_id: string; status: Status };
/** Whether `is_exhausted` of a promotion has changed. */
type Changed = { changed: boolean };

/** A redemption changes status at most twice, so three attempts always reach its final one. */
const MAX_RELEASE_ATTEMPTS = 3;

/** Redeems and releases the promotions of orders, with one outcome for each. */
export function createRedemptions({ db, eventData, wakeRelay, rows, seconds }: Dependencies) {
	/** Tries the whole batch in one statement, and order by order if not all orders fit. */
	async function redeem(orders: readonly RedemptionRequest[]): Promise<Outcome[]> {
		const requests = distinctOrders(orders).map((order) => ({
			...order,
			uses: mergeUses(order.uses),
		}));
		const batch = await redeemNew(requests);
		const { outcomes, changed } = batch?.fits
			? { outcomes: undefined, changed: batch.changed }
			: await redeemIndividually(requests);
		await finish(changed);
		return orders.map(({ order_id }) => outcomes?.get(order_id) ?? done);
	}

	/** @returns undefined, without a change, if an order is not new or a customer has no use left */
	async function redeemNew(requests: readonly RedemptionRequest[]) {
		type Result = Changed & { fits: boolean };
		const values = redemptionColumns(requests);
		try {
			return (await db.insertNew<Result>(statements.REDEEM_NEW, values))?.[0];
		} catch (error) {
			if ((error as { constraint?: string }).constraint === "customer_uses_limit") return undefined;
			throw error;
		}
	}

	/** Redeems order by order, on locked promotions. */
	function redeemIndividually(requests: readonly RedemptionRequest[]) {
		return db.transaction(async (tx) => {
			const uses = requests.flatMap((one) => one.uses.map((use) => ({ ...one, ...use })));
			const ids = uses.map(({ promotion_id }) => promotion_id);
			const limits = await tx.query<Limits>(statements.LOCK_LIMITS, [[...new Set(ids)]]);
			// The lock comes first: a concurrent redemption of these orders needs it too.
			let statusOf = statusByOrder(
				await tx.query<Row>(REDEMPTIONS.renew, [orderIds(requests), seconds]),
			);
			const {
				granted,
				refused: usedUp,
				exceeded,
			} = allocate(
				requests.filter(({ order_id }) => !statusOf.has(order_id)),
				limits,
				await tx.query<CustomerUses>(statements.FIND_CUSTOMER_USES, [
					ids,
					uses.map(({ customer }) => customer),
				]),
			);
			const changes: object[] = [];
			if (granted.length > 0) {
				const [row] = await tx.query<Changed>(statements.REDEEM, redemptionColumns(granted));
				if (row!.changed) changes.push(row!);
				// A tombstone needs no lock of a promotion, so one may have been inserted meanwhile.
				statusOf = await findRedemptions(tx, requests);
			}
			if (exceeded.size > 0)
				changes.push(...(await tx.query(statements.MARK_EXCEEDED, [[...exceeded]])));
			const outcomes = new Map(
				requests.map(({ order_id }) => [
					order_id,
					redemptionOutcome(statusOf.get(order_id), usedUp.get(order_id)),
				]),
			);
			return { outcomes, changed: changes.length > 0 };
		});
	}

	async function release(orders: readonly (CommandOrder & ReservationRef)[]): Promise<Outcome[]> {
		const released = new Set<string>();
		let changed = false;
		let open = distinctOrders(orders);
		// Redemptions that a concurrent transaction was changing are tried again.
		for (let attempt = 0; attempt < MAX_RELEASE_ATTEMPTS && open.length > 0; attempt++) {
			const closed = await db.query<Row & Changed>(statements.RELEASE, [
				orderIds(open),
				open.map(({ order_id }) => eventData("promotion.released", { order_id })),
				traceparentsOf(open),
				open.map(({ expires_at = null }) => expires_at),
			]);
			for (const row of closed) {
				released.add(row.order_id);
				changed ||= row.changed;
			}
			open = open.filter(({ order_id }) => !released.has(order_id));
		}
		await finish(changed);
		return orders.map(({ order_id }) => (released.has(order_id) ? done : pending));
	}

	/**
	 * After a commit. Other nodes cache `is_exhausted`; if this node ends before it invalidates their
	 * entries, they use the former value until the entries expire. `redeem` never does.
	 */
	async function finish(changed: boolean): Promise<void> {
		wakeRelay();
		if (changed) await rows.whileInvalidated([], async () => undefined);
	}

	/** Parameters of the statements REDEEM_NEW and REDEEM. */
	const redemptionColumns = (requests: readonly RedemptionRequest[]) => [
		requests.map(({ order_id }) => order_id),
		requests.map(({ customer }) => customer),
		requests.map(({ uses }) => `{${uses.map(({ promotion_id }) => promotion_id)}}`),
		requests.map(({ uses }) => `{${uses.map(({ amount }) => amount)}}`),
		requests.map(({ order_id, uses }) =>
			eventData("promotion.redeemed", { order_id, uses: [...uses] }),
		),
		traceparentsOf(requests),
		seconds,
	];

	return { redeem, release };
}

const findRedemptions = async (tx: Tx, orders: readonly CommandOrder[]) =>
	statusByOrder(await tx.query<Row>(statements.FIND_REDEMPTIONS, [orderIds(orders)]));

/** The outcome of a redemption. Pending: a concurrent transaction is changing it. */
function redemptionOutcome(status: Status | undefined, usedUp: object | undefined): Outcome {
	if (status) return status === "released" ? refused("RELEASED") : done;
	return usedUp ? refused("USED_UP", undefined, usedUp) : pending;
}
