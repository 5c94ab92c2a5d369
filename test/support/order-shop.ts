import { v7 as uuid } from "uuid";
import { done, type Outcome } from "../../lib/contracts/outcome.ts";
import { inventory } from "../../services/inventory/inventory.contract.ts";
import { payments } from "../../services/payments/payments.contract.ts";
import { products } from "../../services/products/products.contract.ts";
import { promotions } from "../../services/promotions/promotions.contract.ts";
import { tax } from "../../services/tax/tax.contract.ts";
import { users } from "../../services/users/users.contract.ts";
import "../../services/orders/orders.contract.ts";
import { type Promotion, productRecord, userRecord } from "./records.ts";
import { type Shop, startShop, stub } from "./shop.ts";

export const customer = { id: uuid(), email: "customer@example.com", role: "user" as const };
export const unknownProduct = uuid();

type Step = () => Promise<Outcome> | Outcome;
/** The stubbed steps of the saga. A test replaces a step to change its outcome. */
export class StubbedSteps {
	/** Calls so far, as `reserve ORDER_ID`. */
	calls: string[] = [];
	reserve: Step = () => done;
	release: Step = () => done;
	charge: Step = () => done;
	reverse: Step = () => done;
	/** Refund of a part of the payment. */
	refund: Step = () => done;
	redeem: Step = () => done;
	/** Release of promotions. */
	unredeem: Step = () => done;
	/** Parameters of the last redemptions. */
	redemptions: object[] = [];
	/** Parameters of all refunds so far. */
	refunds: { refund_id: string; amount: number }[] = [];

	reset(): void {
		Object.assign(this, new StubbedSteps());
	}
	/** Names of the steps that were called for an order. */
	of(id: string): (string | undefined)[] {
		return this.calls.filter((call) => call.endsWith(id)).map((call) => call.split(" ")[0]);
	}
	handler(name: "reserve" | "release" | "charge" | "reverse" | "refund" | "redeem" | "unredeem") {
		return async (ctx: { params: { orders: { order_id: string }[] } }) =>
			Promise.all(
				ctx.params.orders.map(({ order_id }) => {
					this.calls.push(`${name} ${order_id}`);
					return this[name]();
				}),
			);
	}
}

/** Results of the stubs of tax and promotions. */
export class StubbedPrices {
	tax = { enabled: false, prices_include_tax: true };
	/** Rate of every line and of shipping. */
	rate = 0.19;
	automatic: Promotion[] = [];
	/** Uses of every promotion by every customer. */
	used = 0;

	reset(): void {
		Object.assign(this, new StubbedPrices());
	}
}
/** Starts orders and shipping. All other services are stubs. */
export const startOrderShop = (steps: StubbedSteps, prices = new StubbedPrices()): Promise<Shop> =>
	startShop({
		services: ["orders", "shipping"],
		stubs: [
			stub(users, {
				resolve: async ({ params: { ids } }) => ids.map((id) => userRecord({ id })),
				findByEmail: async ({ params: { email } }) =>
					email === customer.email ? userRecord(customer) : null,
			}),
			stub(products, {
				resolve: async ({ params: { ids } }) =>
					ids.map((id) => (id === unknownProduct ? null : productRecord({ id }))),
			}),
			stub(inventory, { reserve: steps.handler("reserve"), release: steps.handler("release") }),
			stub(payments, {
				charge: steps.handler("charge"),
				reverse: steps.handler("reverse"),
				async refundOrders(ctx) {
					steps.refunds.push(...ctx.params.orders);
					return steps.handler("refund")(ctx);
				},
			}),
			stub(promotions, {
				automatic: async () => prices.automatic,
				usage: async ({ params: { uses } }) => uses.map(() => prices.used),
				async redeem(ctx) {
					steps.redemptions = ctx.params.orders;
					return steps.handler("redeem")(ctx);
				},
				release: steps.handler("unredeem"),
				history: async () => [
					{
						sequence: "1",
						type: "promotion.redeemed",
						time: new Date().toISOString(),
						data: {},
						traceparent: null,
					},
				],
			}),
			stub(tax, {
				status: async () => prices.tax,
				calculate: async ({ params: { carts } }) =>
					carts.map(({ lines }) => {
						const rate = { name: "VAT", rate: prices.rate };
						const { prices_include_tax } = prices.tax;
						return { prices_include_tax, lines: lines.map(() => rate), shipping: rate };
					}),
			}),
		],
	});
