import { afterEach, expect, test } from "@jest/globals";
import { Database } from "../../lib/persistence/database.ts";
import type { HasDatabase } from "../../mixins/database.mixin.ts";
import { eventually } from "../../test/support/eventually.ts";
import { COMPLETE } from "./carts.statements.ts";
import { createCartStore } from "./carts.store.ts";
import { cartShop } from "./test/cart-shop.ts";

const shop = cartShop();

const original = Database.prototype.query;
let release = () => {};
afterEach(() => {
	release();
	Database.prototype.query = original;
});
/** Records the orders of each statement that completes carts. The first one waits for `release`. */
function holdCompletion() {
	const statements: string[][] = [];
	const { promise: released, resolve } = Promise.withResolvers<void>();
	release = resolve;
	Database.prototype.query = async function (this: Database, statement, values) {
		if (typeof statement === "object" && statement.name === COMPLETE.name)
			if (statements.push(values![0] as string[]) === 1) await released;
		return original.call(this, statement, values) as never;
	};
	return statements;
}
const statusOf = async (id: string) => (await shop.row(id))!.status;

test("carts are completed after their checkouts have responded, in few statements", async () => {
	const statements = holdCompletion();
	const orders: string[] = [];
	const carts = await Promise.all(Array.from({ length: 5 }, () => shop.userCart()));
	for (const { checkout } of carts) {
		const { status, body } = await checkout();
		expect(status).toBe(201);
		orders.push(body.id);
	}
	await eventually(async () => expect(statements).toEqual([orders.slice(0, 1)]));
	expect(await statusOf(carts[4]!.id)).toBe("completing");
	release();
	await eventually(async () => expect(await statusOf(carts[4]!.id)).toBe("completed"));
	expect(statements).toEqual([orders.slice(0, 1), orders.slice(1)]);
});

test("a cart that is used before is completed at once", async () => {
	const statements = holdCompletion();
	const [first, second, third] = [
		await shop.userCart(),
		await shop.userCart(),
		await shop.userCart(),
	];
	const { body: order } = await first.checkout();
	await eventually(async () => expect(statements).toHaveLength(1));
	const { body: other } = await second.checkout();
	await third.checkout();
	expect(await second.get()).toMatchObject({ status: "completed", order_id: other.id });
	expect((await third.checkout()).body.code).toBe("CART_COMPLETED");
	expect(await statusOf(first.id)).toBe("completing");
	release();
	expect(await first.get()).toMatchObject({ status: "completed", order_id: order.id });
});

test("a node that stops completes the carts first", async () => {
	shop.orders.outcome = "pending";
	const placed = [];
	for (let n = 0; n < 2; n++) {
		const cart = await shop.userCart();
		placed.push({ id: cart.id, order_id: (await cart.checkout()).body.id });
	}
	const { db } = shop.shop.broker.getLocalService("carts") as unknown as HasDatabase;
	const store = createCartStore({ db, days: 1, settleSeconds: 60, wakeRelay: () => undefined });
	const [first, second] = placed as [(typeof placed)[0], (typeof placed)[0]];
	await store.completeSoon(first.id, first.order_id);
	const completion = store.completeSoon(second.id, second.order_id);
	await store.stop();
	expect(await statusOf(second.id)).toBe("completed");
	await completion;
});
