import { afterEach, expect, test } from "@jest/globals";
import { runInCall } from "../../lib/context/call-context.ts";
import { Database } from "../../lib/persistence/database.ts";
import type { HasDatabase } from "../../mixins/database.mixin.ts";
import { collectGarbage } from "../../test/support/collect-garbage.ts";
import { eventually } from "../../test/support/eventually.ts";
import type { Settlement } from "./carts.settlement.ts";
import { COMPLETE } from "./carts.statements.ts";
import { type CartStore, createCartStore } from "./carts.store.ts";
import { cartShop } from "./test/cart-shop.ts";

const shop = cartShop();
interface CartsService extends HasDatabase {
	readonly store: CartStore;
	readonly settlement: Settlement;
}
const service = () => shop.shop.broker.getLocalService("carts") as unknown as CartsService;

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
type MadeCart = Awaited<ReturnType<typeof shop.userCart>>;
/** Orders a cart, and keeps the poller from completing it. Returns the order's ID. */
async function checkOut({ checkout }: MadeCart): Promise<string> {
	const { status, body } = await checkout();
	expect(status).toBe(201);
	await shop.postpone();
	return body.id;
}
/** Orders a cart whose completion is held. */
async function checkOutHeld(cart: MadeCart, statements: string[][]): Promise<string> {
	const order_id = await checkOut(cart);
	await eventually(async () => expect(statements).toEqual([[order_id]]));
	return order_id;
}

test("carts are completed after their checkouts have responded, in few statements", async () => {
	const statements = holdCompletion();
	const first = await checkOutHeld(await shop.userCart(), statements);
	const carts = await Promise.all(Array.from({ length: 4 }, () => shop.userCart()));
	const others: string[] = [];
	for (const cart of carts) others.push(await checkOut(cart));
	const statuses = () => Promise.all(carts.map(({ id }) => statusOf(id)));
	expect(new Set(await statuses())).toEqual(new Set(["completing"]));
	release();
	await eventually(async () => expect(new Set(await statuses())).toEqual(new Set(["completed"])));
	expect(statements).toEqual([[first], others]);
});

test("a cart that is used before is completed at once", async () => {
	const statements = holdCompletion();
	const [first, second, third] = [
		await shop.userCart(),
		await shop.userCart(),
		await shop.userCart(),
	];
	const order_id = await checkOutHeld(first, statements);
	const other = await checkOut(second);
	await checkOut(third);
	expect(await second.get()).toMatchObject({ status: "completed", order_id: other });
	expect((await third.checkout()).body.code).toBe("CART_COMPLETED");
	expect(await statusOf(first.id)).toBe("completing");
	release();
	expect(await first.get()).toMatchObject({ status: "completed", order_id });
});

test("a node that stops completes the carts first", async () => {
	shop.orders.outcome = "pending";
	const [first, second] = [await shop.userCart(), await shop.userCart()];
	const orders = [await checkOut(first), await checkOut(second)] as const;
	const { db } = service();
	const store = createCartStore({ db, days: 1, settleSeconds: 60, wakeRelay: () => undefined });
	await store.completeSoon(first.id, orders[0]);
	const completion = store.completeSoon(second.id, orders[1]);
	await store.stop();
	expect(await statusOf(second.id)).toBe("completed");
	await completion;
});

test("a cart that waits for its completion does not keep the call of its checkout", async () => {
	const statements = holdCompletion();
	await checkOut(await shop.userCart());
	await eventually(async () => expect(statements).toHaveLength(1));
	shop.orders.outcome = "pending";
	const cart = await shop.userCart();
	const order_id = await checkOut(cart);
	shop.orders.settle(order_id, "confirmed");
	const request = (await service().store.findRequest(cart.id))!;
	/** Repeats the checkout in a call, and returns the call. */
	async function repeat(): Promise<WeakRef<object>> {
		const call = { requestID: "1", meta: {} };
		await runInCall(call, () => service().settlement.place(shop.shop.call, cart.id, request));
		return new WeakRef(call);
	}
	const call = await repeat();
	await eventually(() => {
		collectGarbage();
		expect(call.deref()).toBeUndefined();
	});
	expect(await statusOf(cart.id)).toBe("completing");
	release();
	await eventually(async () => expect(await statusOf(cart.id)).toBe("completed"));
});
