import { type Customer, makeProduct, register } from "../support/actors.ts";
import type { Shop } from "../support/shop.ts";
import type { FuzzOptions } from "./fuzz.ts";

/** Somebody new with an order, and an administrator's token that nobody spends. */
export const setUpWith =
	(shop: Pick<Shop, "http">, admin: () => Promise<Customer>): FuzzOptions["setUp"] =>
	async () => {
		const [boss, customer] = [await admin(), await register(shop)];
		const product = await makeProduct(shop, boss, { stock: 1_000_000 });
		const items = [{ product_id: product.id, quantity: 1 }];
		const { body: order } = await shop.http("POST /api/orders", { token: customer.token, body: { items } });
		const { body: payments } = await shop.http(`GET /api/payments?order_id=${order.id}`, { token: customer.token });
		return {
			tokens: [undefined, customer.token, boss.token, boss.token],
			known: {
				id: [customer.id, product.id, order.id, payments[0]?.id ?? order.id],
				product_id: [product.id],
				order_id: [order.id],
				user_id: [customer.id],
			},
		};
	};
