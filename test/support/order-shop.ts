import { v7 as uuid } from "uuid";
import { done, type Outcome } from "../../lib/contracts/outcome.ts";
import { inventory } from "../../services/inventory/inventory.contract.ts";
import { payments } from "../../services/payments/payments.contract.ts";
import { products } from "../../services/products/products.contract.ts";
import { users } from "../../services/users/users.contract.ts";
import "../../services/orders/orders.contract.ts";
import { productRecord, userRecord } from "./records.ts";
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

	reset(): void {
		Object.assign(this, new StubbedSteps());
	}
	/** Names of the steps that were called for an order. */
	of(id: string): (string | undefined)[] {
		return this.calls.filter((call) => call.endsWith(id)).map((call) => call.split(" ")[0]);
	}
	handler(name: "reserve" | "release" | "charge" | "reverse") {
		return async (ctx: { params: { orders: { order_id: string }[] } }) =>
			Promise.all(
				ctx.params.orders.map(({ order_id }) => {
					this.calls.push(`${name} ${order_id}`);
					return this[name]();
				}),
			);
	}
}

/** Starts orders and shipping. Users, products, inventory and payments are stubs. */
export const startOrderShop = (steps: StubbedSteps): Promise<Shop> =>
	startShop({
		services: ["orders", "shipping"],
		stubs: [
			stub(users, { resolve: async ({ params: { ids } }) => ids.map((id) => userRecord({ id })) }),
			stub(products, {
				resolve: async ({ params: { ids } }) =>
					ids.map((id) => (id === unknownProduct ? null : productRecord({ id }))),
			}),
			stub(inventory, { reserve: steps.handler("reserve"), release: steps.handler("release") }),
			stub(payments, { charge: steps.handler("charge"), reverse: steps.handler("reverse") }),
		],
	});
