import { afterAll, beforeAll, expect, test } from "@jest/globals";
import { v7 as uuid } from "uuid";
import type { HasDatabase } from "../../mixins/database.mixin.ts";
import { eventually, LIMIT_MS } from "../../test/support/eventually.ts";
import { admin, type Shop, startShop } from "../../test/support/shop.ts";
import "../inventory/inventory.contract.ts";
import "../products/products.contract.ts";
import "../users/users.contract.ts";
import "./orders.contract.ts";

let shop: Shop;
beforeAll(async () => {
	const services = ["users", "products", "inventory", "payments", "shipping", "tax", "orders"];
	// The transaction of the test, the waiting statements and the other ones need a connection each.
	const env = { RESERVATION_SECONDS: "1", DATABASE_POOL: "15" };
	shop = await startShop({ services, env });
});
afterAll(() => shop?.stop());

async function makeBuyer() {
	const email = `${uuid()}@example.com`;
	const account = { email, password: "correct horse", full_name: "A Buyer" };
	const { id } = await shop.call("users.seed", { ...account, role: "user", is_verified: true });
	return { id, email, role: "user" as const };
}
const makeProduct = (stock: number) =>
	shop.call(
		"products.create",
		{ name: "Tea", price: 5, category: "Drinks", stock },
		{ meta: { user: admin } },
	);

test("an order that is written after its stock was released is not charged", async () => {
	const [user, { id: product_id }] = [await makeBuyer(), await makeProduct(1)];
	const items = [{ product_id, quantity: 1 }];
	const { db } = shop.broker.getLocalService("orders") as unknown as HasDatabase;
	const placed = Promise.withResolvers<unknown>();
	await db.transaction(async (tx) => {
		// The order cannot be written, but its absence can be read.
		await tx.query("lock table orders in share mode");
		const options = { meta: { user }, timeout: 2 * LIMIT_MS };
		placed.resolve(shop.call("orders.create", { items }, options));
		placed.promise.catch(() => undefined);
		await eventually(async () =>
			expect(
				await shop.databases.query("inventory", "select status, product_ids from reservations"),
			).toEqual([{ status: "released", product_ids: [product_id] }]),
		);
		const other = { orders: [{ order_id: uuid(), items }] };
		expect(await shop.call("inventory.reserve", other)).toEqual([{ status: "done" }]);
	});
	await expect(placed.promise).rejects.toMatchObject({
		type: "ORDER_CANCELLED",
		data: { reason: "RELEASED" },
	});
	expect(await shop.databases.query("payments", "select 1 from payments")).toEqual([]);
});
