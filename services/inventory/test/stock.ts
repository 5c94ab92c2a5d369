import { v7 as uuid } from "uuid";
import type { Shop } from "../../../test/support/shop.ts";
import "../inventory.contract.ts";

export interface Order {
	readonly order_id: string;
	readonly items: { product_id: string; quantity: number }[];
}

/** Calls of the inventory service. `shop` returns the shop of the current test. */
export const inventoryOf = (shop: () => Shop) => ({
	/** Creates a product with the given stock on hand. */
	async createProduct(on_hand: number): Promise<string> {
		const product_id = uuid();
		await shop().call("inventory.open", { product_id, on_hand });
		return product_id;
	},
	reserve: (...orders: Order[]) => shop().call("inventory.reserve", { orders }),
	release: (...orders: Order[]) =>
		shop().call("inventory.release", { orders: orders.map(({ order_id }) => ({ order_id })) }),
	stock: (product_id: string) => shop().call("inventory.get", { product_id }),
});
