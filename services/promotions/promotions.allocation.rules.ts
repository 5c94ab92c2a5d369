import type { Traced } from "../../lib/context/traceparent.ts";
import { fromSmallestUnits, toSmallestUnits } from "../../lib/money/currency.ts";

/** The discount of a promotion on an order, in major units. */
export interface Use {
	readonly promotion_id: string;
	readonly amount: number;
}
export interface RedemptionRequest extends Traced {
	readonly order_id: string;
	readonly customer: string;
	/** One per promotion. */
	readonly uses: readonly Use[];
}
/** Counters and limits of a promotion; a limit is null if there is none. */
export interface Limits {
	readonly id: string;
	readonly code: string | null;
	readonly used: number;
	readonly spent: number;
	readonly usage_limit: number | null;
	readonly customer_limit: number | null;
	readonly budget: number | null;
	readonly is_deleted: boolean;
}
/** Number of orders with which a customer uses a promotion. */
export interface CustomerUses {
	readonly promotion_id: string;
	readonly customer: string;
	readonly used: number;
}
/** The promotion that refuses an order. */
interface UsedUp {
	readonly promotion_id: string;
	readonly code: string | null;
}
interface Allocation {
	readonly granted: RedemptionRequest[];
	/** By order ID. */
	readonly refused: Map<string, UsedUp>;
	/** Promotions whose remaining budget a discount exceeds, but not their whole budget. */
	readonly exceeded: Set<string>;
}

/** Merges the uses of a promotion into one with their total amount: an order uses it once. */
export function mergeUses(uses: readonly Use[]): Use[] {
	const sums = new Map<string, number>();
	for (const { promotion_id, amount } of uses)
		sums.set(promotion_id, (sums.get(promotion_id) ?? 0) + toSmallestUnits(amount));
	return [...sums].map(([promotion_id, sum]) => ({ promotion_id, amount: fromSmallestUnits(sum) }));
}

/**
 * Allocates uses and budgets in the order of the requests: all promotions of an order or none. A
 * refused order takes nothing, and the orders after it can still be granted.
 * @param promotions a missing one refuses every order
 */
export function allocate(
	requests: readonly RedemptionRequest[],
	promotions: readonly Limits[],
	customerUses: readonly CustomerUses[],
): Allocation {
	const remaining = new Map(promotions.map((one) => [one.id, remainingOf(one)]));
	for (const { promotion_id, customer, used } of customerUses)
		remaining.get(promotion_id)?.usedBy.set(customer, used);
	const granted: RedemptionRequest[] = [];
	const refused = new Map<string, UsedUp>();
	const exceeded = new Set<string>();
	for (const request of requests) {
		const { order_id, customer, uses } = request;
		const missing = uses.find((use) => !fits(remaining.get(use.promotion_id), customer, use));
		if (missing) {
			const { promotion_id } = missing;
			const promotion = remaining.get(promotion_id);
			refused.set(order_id, { promotion_id, code: promotion?.code ?? null });
			if (promotion && exceedsRest(promotion, missing)) exceeded.add(promotion_id);
			continue;
		}
		for (const use of uses) take(remaining.get(use.promotion_id)!, customer, use);
		granted.push(request);
	}
	return { granted, refused, exceeded };
}

/** Uses and budget of a promotion that remain for orders. */
interface Remaining {
	readonly code: string | null;
	uses: number;
	/** The whole budget and its remainder, in smallest units. */
	readonly budget: number;
	rest: number;
	readonly customerLimit: number;
	/** Number of orders by customer. */
	readonly usedBy: Map<string, number>;
}
const remainingOf = (promotion: Limits): Remaining => {
	const { code, used, spent, usage_limit, customer_limit, is_deleted } = promotion;
	const budget =
		promotion.budget === null ? Number.POSITIVE_INFINITY : toSmallestUnits(promotion.budget);
	return {
		code,
		uses: is_deleted ? 0 : (usage_limit ?? Number.POSITIVE_INFINITY) - used,
		budget,
		rest: budget - toSmallestUnits(spent),
		customerLimit: customer_limit ?? Number.POSITIVE_INFINITY,
		usedBy: new Map(),
	};
};
const fits = (promotion: Remaining | undefined, customer: string, use: Use): boolean =>
	promotion !== undefined &&
	promotion.uses > 0 &&
	(promotion.usedBy.get(customer) ?? 0) < promotion.customerLimit &&
	toSmallestUnits(use.amount) <= promotion.rest;
const exceedsRest = ({ budget, rest }: Remaining, { amount }: Use): boolean =>
	toSmallestUnits(amount) > rest && toSmallestUnits(amount) <= budget;
function take(promotion: Remaining, customer: string, { amount }: Use): void {
	promotion.uses--;
	promotion.rest -= toSmallestUnits(amount);
	promotion.usedBy.set(customer, (promotion.usedBy.get(customer) ?? 0) + 1);
}
