import { v7 as uuid } from "uuid";
import { done, type Outcome } from "../../lib/contracts/outcome.ts";
import { inventory } from "../../services/inventory/inventory.contract.ts";
import { payments } from "../../services/payments/payments.contract.ts";
import { products } from "../../services/products/products.contract.ts";
import { users } from "../../services/users/users.contract.ts";
import "../../services/orders/orders.contract.ts";
import { type Shop, startShop, stub } from "./shop.ts";

const time = "2026-01-01T00:00:00.000Z";
export const customer = { id: uuid(), email: "customer@example.com", role: "user" as const };
export const unknownProduct = uuid();
const user = (id: string) => ({
	id,
	email: "customer@example.com",
	full_name: "C",
	role: "user" as const,
	is_active: true,
	is_verified: true,
	created_at: time,
	updated_at: time,
});
const product = (id: string) => ({
	id,
	name: "Tea",
	description: null,
	price: 19.99,
	currency: "EUR",
	category: "Drinks",
	sku: null,
	created_at: time,
	updated_at: time,
});

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
			stub(users, { resolve: async ({ params: { ids } }) => ids.map(user) }),
			stub(products, {
				resolve: async ({ params: { ids } }) =>
					ids.map((id) => (id === unknownProduct ? null : product(id))),
			}),
			stub(inventory, { reserve: steps.handler("reserve"), release: steps.handler("release") }),
			stub(payments, { charge: steps.handler("charge"), reverse: steps.handler("reverse") }),
		],
	});
