import { expect, jest } from "@jest/globals";
import { v7 as uuid } from "uuid";
import type { Meta } from "../../lib/contracts/contract.ts";
import type { Outcome } from "../../lib/contracts/outcome.ts";
import type {} from "../../services/payments/payments.contract.ts";
import type { Dependencies } from "../../services/payments/payments.dependencies.ts";
import type { AuthorizeRequest, Simulation } from "../../services/payments/providers/provider.ts";
import { eventually } from "./eventually.ts";
import { admin, type Shop, startShop } from "./shop.ts";

/** An order as the saga sends it to payments. */
export const newOrder = (payment_token = "tok_ok", amount = 19.99) => ({
	order_id: uuid(),
	user_id: uuid(),
	amount,
	currency: "EUR",
	payment_token,
});
export type Order = Omit<ReturnType<typeof newOrder>, "user_id"> & { user_id: string | null };
export const done = { status: "done" };
export const reversed = { status: "refused", code: "REVERSED" };
export const command = (orders: Order[]) => ({
	orders: orders.map(({ order_id }) => ({ order_id })),
});

/** Starts two nodes of payments on the same databases. @param options of the first node */
export async function startPaymentNodes(
	options: Parameters<typeof startShop>[0] = { services: ["payments"] },
): Promise<[Shop, Shop]> {
	const first = await startShop(options);
	const env = { DATABASE_URL: first.databases.pattern };
	return [first, await startShop({ services: ["payments"], env })];
}

/**
 * Holds requests with the card `tok_slow` back from the simulated provider of a node. `release`
 * sends them with a card that succeeds at once.
 */
export function holdSlowCards({ broker }: Shop) {
	const { provider } = broker.getLocalService("payments") as unknown as Dependencies;
	const { authorize } = provider;
	const gate = Promise.withResolvers<void>();
	const held: Promise<unknown>[] = [];
	const hold = (request: AuthorizeRequest) => {
		const sent = gate.promise.then(() => authorize([{ ...request, token: "tok_ok" }])[0]!);
		held.push(sent);
		return sent;
	};
	const spy = jest.spyOn(provider, "authorize").mockImplementation((requests) => {
		const others = requests.filter(({ token }) => token !== "tok_slow");
		const sent = authorize(others);
		return requests.map((request) => sent[others.indexOf(request)] ?? hold(request));
	});
	return {
		/** Sends the requests and waits for the responses. */
		async release(): Promise<void> {
			spy.mockRestore();
			gate.resolve();
			await Promise.all(held);
		},
	};
}

/** Functions that call the payments service and query its database. */
export function paymentActions(shop: () => Shop) {
	const charge = (...orders: Order[]) => shop().call("payments.charge", { orders });
	const list = (order_id: string, user: Meta["user"] = admin) =>
		shop().call("payments.list", { order_id }, { meta: { user } });
	/** Repeats a command, as the saga does, until no outcome is pending. */
	const repeatWhilePending = (send: () => Promise<Outcome[]>) =>
		eventually(async () => {
			const outcomes = await send();
			expect(outcomes).not.toContainEqual({ status: "pending" });
			return outcomes;
		});
	const chargeFully = (...orders: Order[]) => repeatWhilePending(() => charge(...orders));
	return {
		charge,
		list,
		async details({ order_id }: Order, user: Meta["user"] = admin) {
			const [found] = await list(order_id);
			return shop().call("payments.get", { id: found!.id }, { meta: { user } });
		},
		chargeFully,
		/** Decides a payment at the simulated provider. */
		decide: ({ order_id }: Order, result: Simulation) =>
			shop().call("payments.simulate", { order_id, result }),
		reverse: (...orders: Order[]) =>
			repeatWhilePending(() => shop().call("payments.reverse", command(orders))),
		refund: (id: string, params: { amount?: number; reason?: string } = {}, meta: Meta = {}) =>
			shop().call("payments.refund", { id, ...params }, { meta: { user: admin, ...meta } }),
		async capturedPayment(amount?: number) {
			const order = newOrder("tok_ok", amount);
			expect(await chargeFully(order)).toEqual([done]);
			const [payment] = await list(order.order_id);
			return { order, id: payment!.id };
		},
		/** Number of charges and balance of an order, summed over the provider's ledger. */
		async ledgerBalance({ order_id }: Order) {
			const [entry] = await shop().databases.query<{ charges: number; balance: number }>(
				"payments",
				`select count(*)::int as charges,
					(coalesce(sum(amount), 0) - coalesce(
						(select sum(amount) from ledger_refunds where charge_key = $1), 0))::float8 as balance
				from ledger_charges where key = $1 and status = 'captured'`,
				[order_id],
			);
			return entry!;
		},
		/** The ledger entry of an order, as the audit reads it. */
		async ledgerEntry({ order_id }: Order) {
			const entries = await shop().call("payments.auditCharges", {
				after: before(order_id),
				upto: order_id,
				limit: 1,
			});
			const { key, ...sums } = entries[0] ?? {
				key: order_id,
				authorized: 0,
				charged: 0,
				refunded: 0,
			};
			expect(key).toBe(order_id);
			return sums;
		},
		/** The published events of an order with their amounts. */
		async eventsOf({ order_id }: Order) {
			const rows = await shop().databases.query(
				"payments",
				"select type, data->>'amount' as amount from outbox where subject = $1 order by xid, seq",
				[order_id],
			);
			return rows.map(({ type, amount }) => (amount ? `${type} ${Number(amount)}` : type));
		},
	};
}

/** The UUID that precedes another one. */
const before = (id: string) =>
	id.slice(0, -12) + (BigInt(`0x${id.slice(-12)}`) - 1n).toString(16).padStart(12, "0");
