import { afterAll, beforeAll, beforeEach } from "@jest/globals";
import { Errors } from "moleculer";
import { v7 as uuid } from "uuid";
import { cacheOf } from "../../../lib/caching/lease-cache.ts";
import { contractError } from "../../../lib/contracts/contract.ts";
import { invalidField } from "../../../lib/contracts/errors.ts";
import type { Infer, Value } from "../../../lib/contracts/schema.ts";
import { database } from "../../../mixins/database.mixin.ts";
import { durableEvents } from "../../../mixins/durable-events.mixin.ts";
import { stubbedServices, token } from "../../../test/support/gateway.ts";
import type { HttpResponse } from "../../../test/support/http.ts";
import { orderRecord, productRecord } from "../../../test/support/records.ts";
import { admin, publisher, type Shop, startShop, stub } from "../../../test/support/shop.ts";
import { inventory } from "../../inventory/inventory.contract.ts";
import { orders } from "../../orders/orders.contract.ts";
import { products } from "../../products/products.contract.ts";
import type { Cart } from "../carts.rules.ts";
import "../carts.contract.ts";
import "../../promotions/promotions.contract.ts";
import "../../shipping/shipping.contract.ts";
import "../../tax/tax.contract.ts";

type Product = NonNullable<Value<typeof products.actions.resolve.returns>[number]>;
type Order = Value<typeof orders.actions.place.returns>;
type PlaceRequest = Infer<typeof orders.actions.place.params>;
type Outcome = "confirmed" | "pending" | "PAYMENT_DECLINED" | "OUT_OF_STOCK" | "ORDER_TOO_LARGE";

const outage = () => new Errors.RequestTimeoutError({ action: "stub", nodeID: "gone" });

/** Stub of `orders.place`: idempotent by the order's ID, like the service. */
class StubbedOrders {
	/** Outcome of orders that are placed from now on. */
	outcome: Outcome = "confirmed";
	/** Whether calls are lost, before or after the order is written. */
	lost: "no" | "before" | "after" = "no";
	/** Whether calls are rejected by a node with a stricter contract, before they have an effect. */
	isStrict = false;
	/** Number of orders whose outcome was requested. */
	lookups = 0;
	readonly requests = new Map<string, PlaceRequest>();
	readonly #outcomes = new Map<string, Outcome>();
	readonly customers = new Set<string>();

	place(request: PlaceRequest): Order {
		const { order_id, user_id, priced } = request;
		if (this.lost === "before") throw outage();
		if (this.isStrict) throw invalidField("priced.adjustments", "ARRAY_MAX", "Too many discounts");
		if (this.outcome === "ORDER_TOO_LARGE") throw contractError(orders, "ORDER_TOO_LARGE");
		if (!this.requests.has(order_id)) {
			this.requests.set(order_id, request);
			this.#outcomes.set(order_id, this.outcome);
		}
		if (this.lost === "after") throw outage();
		const outcome = this.#outcomes.get(order_id)!;
		if (outcome === "PAYMENT_DECLINED" || outcome === "OUT_OF_STOCK")
			throw contractError(orders, outcome, { order_id, reason: outcome });
		const isPending = outcome === "pending";
		return orderRecord({
			id: order_id,
			user_id,
			email: priced.email,
			status: isPending ? "pending" : "confirmed",
			total_amount: priced.total_amount,
			payment: isPending ? { status: "requires_action", expires_at: null } : null,
		});
	}
	settle(order_id: string, outcome: Outcome): void {
		this.#outcomes.set(order_id, outcome);
	}
	outcomeOf(order_id: string) {
		this.lookups++;
		if (this.lost !== "no") throw outage();
		const outcome = this.#outcomes.get(order_id);
		if (!outcome) return "unknown";
		if (outcome === "confirmed") return "confirmed";
		return outcome === "pending" ? "open" : "cancelled";
	}
}

export const home = {
	name: "Jo",
	line1: "Main Street 1",
	postal_code: "10115",
	city: "Berlin",
	country: "DE",
};
/** Credentials of a buyer. */
export interface Buyer {
	readonly token?: string;
	readonly headers?: Record<string, string>;
}

/**
 * Registers hooks that start carts, promotions, tax, shipping and a gateway, with stubs of
 * products, inventory and orders.
 */
export function cartShop(env: Record<string, string> = {}) {
	let shop: Shop;
	let stubbed = new StubbedOrders();
	const catalogue = new Map<string, Partial<Product> | null>();
	const stock = new Map<string, number>();
	const productCalls: string[][] = [];
	const down = new Set<string>();
	const assertUp = (service: string) => {
		if (down.has(service)) throw outage();
	};

	beforeAll(async () => {
		shop = await startShop({
			services: ["api", "carts", "promotions", "tax", "shipping"],
			env,
			stubs: [
				...stubbedServices().filter(({ name }) => name !== "products" && name !== "orders"),
				stub(products, {
					async resolve({ params: { ids } }) {
						assertUp("products");
						productCalls.push(ids);
						return ids.map((id) => {
							const found = catalogue.get(id);
							return found ? productRecord({ id, ...found }) : null;
						});
					},
					variants: async ({ params: { id } }) => [
						productRecord({ parent_id: id, options: { size: "M" } }),
					],
				}),
				stub(inventory, {
					async resolve({ params: { product_ids } }) {
						assertUp("inventory");
						return product_ids.map((product_id) => {
							const available = stock.get(product_id) ?? 100;
							return { product_id, on_hand: available, reserved: 0, available };
						});
					},
				}),
				stub(
					orders,
					{
						place: async ({ params }) => stubbed.place(params),
						outcomes: async ({ params: { order_ids } }) =>
							order_ids.map((id) => stubbed.outcomeOf(id)),
						haveOrdered: async ({ params: { customers } }) =>
							customers.map((one) => stubbed.customers.has(one)),
					},
					database,
					durableEvents,
				),
			],
			middlewares: [
				{
					name: "Outages",
					localAction: (next: (ctx: object) => unknown, { name }: { name: string }) =>
						/^(tax|shipping|promotions)\./.test(name)
							? async (ctx: object) => {
									assertUp(name.split(".")[0]!);
									return next(ctx);
								}
							: next,
				} as never,
			],
		});
	});
	afterAll(() => shop?.stop());
	beforeEach(() => {
		stubbed = new StubbedOrders();
		productCalls.length = 0;
		down.clear();
	});

	const http = (request: string, buyer: Buyer = {}, body?: object, headers = {}) =>
		shop.http(`${request}`, {
			...buyer,
			...(body === undefined ? {} : { body }),
			headers: { ...buyer.headers, ...headers },
		});
	const asAdmin = () => ({ token: token(shop.env, "admin") });

	return {
		get shop() {
			return shop;
		},
		get orders() {
			return stubbed;
		},
		stock,
		/** IDs of each call that requested products. */
		productCalls,
		http,
		asAdmin,
		/** A signed-in user. */
		user: (id: string = uuid()): Buyer & { id: string } => ({
			id,
			token: token(shop.env, "user", id),
		}),
		/** Adds a product at 10.00 to the catalogue. */
		product(fields: Partial<Product> = {}): string {
			const id = uuid();
			catalogue.set(id, { price: 10, ...fields });
			return id;
		},
		/** Changes or removes a product, as its service does. */
		async change(id: string, fields: Partial<Product> | null): Promise<void> {
			const rows = cacheOf(shop.broker).of("products", 1000);
			await rows.whileInvalidated([id], async () => {
				catalogue.set(id, fields && { ...catalogue.get(id), ...fields });
			});
		},
		adminMeta: { meta: { user: admin } },
		/** Replaces the tax rates and shipping methods. */
		async configure({ rates, methods }: { rates?: object[]; methods?: object[] }): Promise<void> {
			if (rates) await http("PUT /api/tax/rates", asAdmin(), rates);
			if (!methods) return;
			const { body } = await http("GET /api/shipping/methods");
			for (const { code } of body as { code: string }[])
				await http(`DELETE /api/shipping/methods/${code}`, asAdmin());
			for (const method of methods) await http("POST /api/shipping/methods", asAdmin(), method);
		},
		/** Creates a promotion of 10 %. */
		promotion: (fields: object) =>
			shop.call(
				"promotions.create",
				{ name: "Ten percent", effect: { type: "percent_off", value: 10 }, ...fields },
				{ meta: { user: admin } },
			),
		/** Services that do not respond until the end of the test. */
		disconnect: (service: string) => void down.add(service),
		reconnect: () => down.clear(),
		publish: () => publisher(shop.broker, "orders"),

		/** Opens the cart of a guest with an e-mail address and two pieces of a product at 10.00. */
		async guestCart() {
			const { cart, headers } = await this.guest();
			return this.fill(cart.id, { headers: headers! }, { email: "guest@example.com" });
		},
		/** Opens the cart of a user with two pieces of a product at 10.00. */
		async userCart(fields: Partial<Product> = {}) {
			const user = this.user();
			return this.fill((await this.open(user)).id, user, undefined, fields);
		},
		async fill(id: string, buyer: Buyer, details?: object, fields: Partial<Product> = {}) {
			const product = this.product(fields);
			await this.put(id, buyer, product, 2);
			if (details) await this.patch(id, buyer, details);
			return {
				id,
				buyer,
				product,
				get: async (): Promise<Cart> => (await this.get(id, buyer)).body,
				checkout: (body: object = { expected_total: 20 }, headers: Record<string, string> = {}) =>
					this.checkout(id, buyer, body, headers),
			};
		},
		/** Opens a cart of a guest, with its credentials. */
		async guest(body: object = {}): Promise<Buyer & { cart: Cart }> {
			const { body: cart } = await http("POST /api/carts", {}, body);
			return { cart, headers: { "Cart-Token": cart.token } };
		},
		async open(buyer: Buyer, body: object = {}): Promise<Cart> {
			return (await http("POST /api/carts", buyer, body)).body;
		},
		get: (id: string, buyer: Buyer): Promise<HttpResponse> => http(`GET /api/carts/${id}`, buyer),
		put: (
			id: string,
			buyer: Buyer,
			product_id: string,
			quantity: number,
			headers: Record<string, string> = {},
		) => http(`PUT /api/carts/${id}/lines/${product_id}`, buyer, { quantity }, headers),
		patch: (id: string, buyer: Buyer, body: object, headers: Record<string, string> = {}) =>
			http(`PATCH /api/carts/${id}`, buyer, body, headers),
		checkout: (
			id: string,
			buyer: Buyer,
			body: object = { expected_total: 1000 },
			headers: Record<string, string> = {},
		) => http(`POST /api/carts/${id}/checkout`, buyer, body, headers),
		/** Keeps the poller from checking the orders of carts. */
		postpone: () =>
			shop.databases.query(
				"carts",
				"update carts set settle_at = now() + interval '1 hour' where status = 'completing'",
			),
		row: async (id: string) =>
			(await shop.databases.query("carts", "select * from carts where id = $1", [id]))[0],
	};
}
