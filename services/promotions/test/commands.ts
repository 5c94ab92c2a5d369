import { expect } from "@jest/globals";
import { v7 as uuid } from "uuid";
import type { Outcome } from "../../../lib/contracts/outcome.ts";
import { asAdmin, type Shop } from "../../../test/support/shop.ts";
import "../promotions.contract.ts";

export interface Order {
	readonly order_id: string;
	readonly customer: string;
	readonly uses: { promotion_id: string; amount: number }[];
}
export const tenPercent = { type: "percent_off", value: 10 } as const;

/** An order that uses promotions with a discount of 5 each. */
export const newOrder = (promotion_ids: string[], over: Partial<Order> = {}): Order => ({
	order_id: uuid(),
	customer: uuid(),
	uses: promotion_ids.map((promotion_id) => ({ promotion_id, amount: 5 })),
	...over,
});
export const countOutcomes = (outcomes: Outcome[][], status: Outcome["status"]) =>
	outcomes.flat().filter((outcome) => outcome.status === status).length;
export const times = <T>(n: number, make: (i: number) => T): T[] =>
	Array.from({ length: n }, (_, i) => make(i));
/** A refusal by a promotion without a code. */
export const usedUp = (promotion_id: string, code: string | null = null): Outcome => ({
	status: "refused",
	code: "USED_UP",
	data: { promotion_id, code },
});

/** Calls of the promotions service. `shop` returns the shop of the current test. */
export const promotionsOf = (shop: () => Shop) => ({
	create: (fields: object = {}) =>
		shop().call(
			"promotions.create",
			{ name: "Ten percent", effect: tenPercent, ...fields },
			asAdmin,
		),
	update: (id: string, changes: object) =>
		shop().call("promotions.update", { id, ...changes }, asAdmin),
	remove: (id: string) => shop().call("promotions.remove", { id }, asAdmin),
	get: (id: string) => shop().call("promotions.get", { id }, asAdmin),
	redeem: (...orders: Order[]) => shop().call("promotions.redeem", { orders }),
	release: (...orders: { order_id: string }[]) =>
		shop().call("promotions.release", { orders: orders.map(({ order_id }) => ({ order_id })) }),
	eventsOf: (order_id: string) =>
		shop().databases.query(
			"promotions",
			"select type, data from outbox where subject = $1 order by xid, seq",
			[order_id],
		),
	/**
	 * Expects the counters of promotions and customers to equal the sums of their redemptions, and no
	 * counter above its limit.
	 */
	async expectConsistentCounters(): Promise<void> {
		const wrong = await shop().databases.query("promotions", INCONSISTENT);
		expect(wrong).toEqual([]);
	},
});

const INCONSISTENT = `with uses as (
		select promotion_id, customer, amount
		from redemptions, unnest(promotion_ids, amounts) as use (promotion_id, amount)
		where status = 'redeemed')
	select 'promotion' as kind, id::text as key, used, spent::text from promotions
	left join (
		select promotion_id, count(*) as orders, sum(amount) as amount from uses group by promotion_id
	) u on promotion_id = id
	where used <> coalesce(orders, 0) or spent <> coalesce(amount, 0)
		or used > usage_limit or spent > budget
		or (not is_exhausted and (used >= usage_limit or spent >= budget))
	union all select 'customer', c.promotion_id || ' ' || c.customer, c.used, null
	from customer_uses c join promotions on id = promotion_id
	left join (
		select promotion_id, customer, count(*) as orders from uses group by promotion_id, customer
	) u using (promotion_id, customer)
	where c.used <> coalesce(orders, 0) or c.used > customer_limit
	union all select 'uncounted', promotion_id || ' ' || customer, null, null
	from uses where not exists (
		select from customer_uses c
		where c.promotion_id = uses.promotion_id and c.customer = uses.customer)`;
