import { expect } from "@jest/globals";
import { v7 as uuid } from "uuid";
import type { Meta } from "../../lib/contracts/contract.ts";
import type { Outcome } from "../../lib/contracts/outcome.ts";
import type {} from "../../services/payments/payments.contract.ts";
import { eventually } from "./eventually.ts";
import { admin, type Shop } from "./shop.ts";

/** An order as payments hears of it. */
export const order = (payment_token = "tok_ok", amount = 19.99) => ({
	order_id: uuid(),
	user_id: uuid(),
	amount,
	currency: "EUR",
	payment_token,
});
export type Order = ReturnType<typeof order>;
export const done = { status: "done" };
export const reversed = { status: "refused", code: "REVERSED" };
export const only = (orders: Order[]) => ({ orders: orders.map(({ order_id }) => ({ order_id })) });

/** What one asks of payments, and looks up there. */
export function startPayments(shop: () => Shop) {
	const charge = (...orders: Order[]) => shop().call("payments.charge", { orders });
	const list = (order_id: string, user: Meta["user"] = admin) =>
		shop().call("payments.list", { order_id }, { meta: { user } });
	/** Asks, as a saga does, until every order has its outcome. */
	const insist = (ask: () => Promise<Outcome[]>) =>
		eventually(async () => {
			const outcomes = await ask();
			expect(outcomes).not.toContainEqual({ status: "pending" });
			return outcomes;
		});
	const settled = (...orders: Order[]) => insist(() => charge(...orders));
	return {
		charge,
		list,
		settled,
		reverse: (...orders: Order[]) => insist(() => shop().call("payments.reverse", only(orders))),
		refund: (id: string, params: { amount?: number; reason?: string } = {}, meta: Meta = {}) =>
			shop().call("payments.refund", { id, ...params }, { meta: { user: admin, ...meta } }),
		async captured(amount?: number) {
			const mine = order("tok_ok", amount);
			expect(await settled(mine)).toEqual([done]);
			const [payment] = await list(mine.order_id);
			return { mine, id: payment!.id };
		},
		/** What the provider has of an order's money, by its own entries. */
		async ledger({ order_id }: Order) {
			const [entry] = await shop().databases.query<{ charges: number; balance: number }>(
				"payments",
				`select count(*)::int as charges, coalesce(sum(amount), 0)::float8
					- coalesce((select sum(amount) from ledger_refunds where charge_key = $1), 0)::float8 as balance
				from ledger_charges where key = $1 and status = 'captured'`,
				[order_id],
			);
			return entry!;
		},
		/** What the provider's books say of an order. */
		async booked({ order_id }: Order) {
			const books = await shop().call("payments.auditCharges", {
				after: before(order_id),
				upto: order_id,
				limit: 1,
			});
			const { key, ...sums } = books[0] ?? {
				key: order_id,
				authorized: 0,
				charged: 0,
				refunded: 0,
			};
			expect(key).toBe(order_id);
			return sums;
		},
		/** The events of an order, with their amounts. */
		async told({ order_id }: Order) {
			const rows = await shop().databases.query(
				"payments",
				"select type, data->>'amount' as amount from outbox where subject = $1 order by xid, seq",
				[order_id],
			);
			return rows.map(({ type, amount }) => (amount ? `${type} ${Number(amount)}` : type));
		},
	};
}

/** The id just before another one, in their order. */
const before = (id: string) =>
	id.slice(0, -12) + (BigInt(`0x${id.slice(-12)}`) - 1n).toString(16).padStart(12, "0");
