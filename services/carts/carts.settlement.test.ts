import { afterEach, beforeEach, describe, expect, test } from "@jest/globals";
import { Errors } from "moleculer";
import { v7 as uuid } from "uuid";
import { Database } from "../../lib/persistence/database.ts";
import { eventually } from "../../test/support/eventually.ts";
import { CLAIM_UNSETTLED } from "./carts.statements.ts";
import { cartShop } from "./test/cart-shop.ts";

const shop = cartShop();
beforeEach(() => shop.reconnect());
// The poller must not place the orders of these carts during the next test.
afterEach(async () => void (await shop.postpone()));

type MadeCart = Awaited<ReturnType<typeof shop.userCart>>;
/** Waits for a change of the row, because reading the cart would settle it. */
const settles = (cart: MadeCart, expected: object) =>
	eventually(async () => expect(await shop.row(cart.id)).toMatchObject(expected));
/** Makes the cart due, so that the next poll of any node checks its order. */
const makeDue = ({ id }: MadeCart) =>
	shop.shop.databases.query("carts", "update carts set settle_at = now() where id = $1", [id]);
/** Starts a checkout that ends without a result, and that only the test continues. */
async function interrupted(
	lost: "before" | "after",
): Promise<{ cart: MadeCart; order_id: string }> {
	const cart = await shop.userCart();
	shop.orders.lost = lost;
	const { body } = await cart.checkout();
	expect(body).toMatchObject({ status: 503, code: "SERVICE_UNAVAILABLE" });
	const { status, order_id } = await cart.get();
	expect(status).toBe("completing");
	await shop.postpone();
	return { cart, order_id: order_id! };
}

describe("a checkout whose call of orders was lost", () => {
	test.each(["before", "after"] as const)(
		"%s the order was written is completed by a repetition",
		async (lost) => {
			const { cart, order_id } = await interrupted(lost);
			expect((await cart.checkout()).status).toBe(503);
			shop.orders.lost = "no";
			expect(await cart.checkout()).toMatchObject({ status: 201, body: { id: order_id } });
			expect(await cart.get()).toMatchObject({ status: "completed", order_id });
			expect(shop.orders.requests.size).toBe(1);
		},
	);

	test.each(["before", "after"] as const)(
		"%s the order was written is completed by the poller",
		async (lost) => {
			const { cart, order_id } = await interrupted(lost);
			shop.orders.lost = "no";
			await makeDue(cart);
			await settles(cart, { status: "completed", order_id });
			expect(shop.orders.requests.size).toBe(1);
			expect((await cart.checkout()).body).toMatchObject({ code: "CART_COMPLETED", order_id });
		},
	);

	test("is completed when the cart is read", async () => {
		const { cart, order_id } = await interrupted("after");
		shop.orders.lost = "no";
		expect(await cart.get()).toMatchObject({ status: "completed", order_id });
	});

	test("is opened again when the cart is read after its order was cancelled", async () => {
		shop.orders.outcome = "PAYMENT_DECLINED";
		const { cart } = await interrupted("after");
		shop.orders.lost = "no";
		expect(await cart.get()).toMatchObject({
			status: "open",
			order_id: null,
			cancellation_reason: "PAYMENT_DECLINED",
		});
	});

	test("is opened again by the event of its order", async () => {
		const { cart, order_id } = await interrupted("after");
		const data = { order_id, user_id: null, total_amount: 20, currency: "EUR" };
		await shop.publish()("order.cancelled", order_id, { ...data, reason: "PAYMENT_EXPIRED" });
		await settles(cart, {
			status: "open",
			order_id: null,
			cancellation_reason: "PAYMENT_EXPIRED",
		});
	});

	test("is opened again by the poller if the order was cancelled", async () => {
		shop.orders.outcome = "PAYMENT_DECLINED";
		const { cart } = await interrupted("after");
		shop.orders.lost = "no";
		await makeDue(cart);
		await settles(cart, { status: "open", cancellation_reason: "PAYMENT_DECLINED" });
	});

	test("keeps its key: a repetition returns the result", async () => {
		const cart = await shop.guestCart();
		const headers = { "idempotency-key": uuid() };
		shop.orders.lost = "after";
		expect((await cart.checkout({ expected_total: 20 }, headers)).status).toBe(503);
		shop.orders.lost = "no";
		await makeDue(cart);
		await settles(cart, { status: "completed" });
		const { order_id } = await cart.get();
		const repeated = await cart.checkout({ expected_total: 20 }, headers);
		expect(repeated).toMatchObject({ status: 201, body: { id: order_id } });
		expect(repeated.body.order_token).toBeDefined();
	});

	test("keeps its key also if the cart was opened again", async () => {
		const cart = await shop.userCart();
		const headers = { "idempotency-key": uuid() };
		shop.orders.outcome = "PAYMENT_DECLINED";
		shop.orders.lost = "after";
		await cart.checkout({ expected_total: 20 }, headers);
		shop.orders.lost = "no";
		await makeDue(cart);
		await settles(cart, { status: "open" });
		const lost = { ...headers };
		expect((await cart.checkout({ expected_total: 20 }, lost)).body.code).toBe("PAYMENT_DECLINED");
		expect(shop.orders.requests.size).toBe(1);
	});

	test("reports a key as that of a cancelled order after another checkout", async () => {
		const cart = await shop.userCart();
		const headers = { "idempotency-key": uuid() };
		shop.orders.outcome = "PAYMENT_DECLINED";
		shop.orders.lost = "after";
		await cart.checkout({ expected_total: 20 }, headers);
		shop.orders.lost = "no";
		await makeDue(cart);
		await settles(cart, { status: "open" });
		shop.orders.outcome = "confirmed";
		expect((await cart.checkout()).status).toBe(201);
		expect((await cart.checkout({ expected_total: 20 }, headers)).body.code).toBe(
			"ORDER_CANCELLED",
		);
	});
});

describe("a refusal that does not name the order", () => {
	const refused = { status: 422, code: "VALIDATION_ERROR" };

	test.each(["confirmed", "pending"] as const)(
		"leaves the cart of an order that is %s, also under its key",
		async (outcome) => {
			const cart = await shop.userCart();
			const checkout = () => cart.checkout({ expected_total: 20 }, headers);
			const headers = { "idempotency-key": uuid() };
			[shop.orders.outcome, shop.orders.lost] = [outcome, "after"];
			expect((await checkout()).status).toBe(503);
			await shop.postpone();
			[shop.orders.lost, shop.orders.isStrict] = ["no", true];
			const [order_id] = shop.orders.requests.keys();
			for (const repeat of [checkout, cart.checkout])
				expect(await repeat()).toMatchObject({ status: 503 });
			expect(await shop.row(cart.id)).toMatchObject({ status: "completing", order_id });
			shop.orders.isStrict = false;
			expect(await checkout()).toMatchObject({ status: 201, body: { id: order_id } });
			expect(shop.orders.requests.size).toBe(1);
		},
	);

	test("opens the cart of an order that does not exist", async () => {
		const cart = await shop.userCart();
		shop.orders.isStrict = true;
		expect((await cart.checkout()).body).toMatchObject(refused);
		expect(await shop.row(cart.id)).toMatchObject({
			status: "open",
			cancellation_reason: "VALIDATION_ERROR",
		});
	});

	test("opens the cart of an order that was cancelled", async () => {
		shop.orders.outcome = "PAYMENT_DECLINED";
		const { cart } = await interrupted("after");
		[shop.orders.lost, shop.orders.isStrict] = ["no", true];
		expect((await cart.checkout()).body).toMatchObject(refused);
		expect(await shop.row(cart.id)).toMatchObject({ status: "open", order_id: null });
	});

	test("leaves the cart while the outcome of the order is unknown", async () => {
		const cart = await shop.userCart();
		shop.orders.isStrict = true;
		shop.orders.outcomeOf = () => {
			throw new Errors.RequestTimeoutError({ action: "orders.outcomes", nodeID: "gone" });
		};
		expect((await cart.checkout()).status).toBe(503);
		expect(await shop.row(cart.id)).toMatchObject({ status: "completing" });
	});
});

test("a refusal that names the order opens its cart without another call", async () => {
	const cart = await shop.userCart();
	shop.orders.outcome = "PAYMENT_DECLINED";
	expect((await cart.checkout()).body.code).toBe("PAYMENT_DECLINED");
	expect(await shop.row(cart.id)).toMatchObject({ status: "open" });
	expect(shop.orders.lookups).toBe(0);
});

const original = Database.prototype.query;
afterEach(() => {
	Database.prototype.query = original;
});
/** Makes statements of the carts service fail until `restore`, or the end of the test. */
function failing(name: string) {
	let failures = 0;
	Database.prototype.query = function (this: Database, statement, values) {
		if (typeof statement === "object" && statement.name === name) {
			failures++;
			return Promise.reject(Object.assign(new Error("lost"), { code: "57P01" }));
		}
		return original.call(this, statement, values) as never;
	};
	return {
		get failures() {
			return failures;
		},
		restore() {
			Database.prototype.query = original;
		},
	};
}

describe("a checkout whose write was lost", () => {
	test("after the order was confirmed returns it, and the poller completes the cart", async () => {
		const cart = await shop.userCart();
		const fault = failing("complete_carts");
		const { status, body } = await cart.checkout();
		expect(status).toBe(201);
		await eventually(async () => expect(fault.failures).toBeGreaterThan(0));
		await shop.postpone();
		fault.restore();
		expect(await shop.row(cart.id)).toMatchObject({ status: "completing" });
		await makeDue(cart);
		await settles(cart, { status: "completed", order_id: body.id });
	});

	test("before it began has no effect", async () => {
		const cart = await shop.userCart();
		const fault = failing("begin");
		expect((await cart.checkout()).status).toBe(503);
		fault.restore();
		expect(shop.orders.requests.size).toBe(0);
		expect((await cart.get()).status).toBe("open");
	});
});

describe("the poller", () => {
	test("leaves the cart of a pending order, and checks it again later", async () => {
		const cart = await shop.userCart();
		shop.orders.outcome = "pending";
		const { id: order_id } = (await cart.checkout()).body;
		await makeDue(cart);
		const due = async () => {
			const { settle_attempts, settle_at } = (await shop.row(cart.id))!;
			return settle_attempts >= 1 && settle_at > new Date();
		};
		await eventually(async () => expect(await due()).toBe(true));
		expect((await cart.get()).status).toBe("completing");
		shop.orders.settle(order_id, "confirmed");
		await makeDue(cart);
		await settles(cart, { status: "completed" });
	});

	test("on several nodes claims each cart once, with backoff of a minute at most", async () => {
		const { databases } = shop.shop;
		const carts = await Promise.all(Array.from({ length: 10 }, () => shop.userCart()));
		shop.orders.lost = "before";
		await Promise.all(carts.map((cart) => cart.checkout()));
		const ids = carts.map(({ id }) => id);
		for (let attempt = 0; attempt < 8; attempt++) {
			await databases.query(
				"carts",
				"update carts set settle_at = now(), settle_attempts = $2 where id = any($1)",
				[ids, attempt],
			);
			const claims = await Promise.all(
				Array.from({ length: 3 }, () =>
					databases.query<{ id: string }>("carts", CLAIM_UNSETTLED.text, [5]),
				),
			);
			const claimed = claims.flat().map(({ id }) => id);
			expect(new Set(claimed).size).toBe(claimed.length);
			const [{ pause }] = (await databases.query<{ pause: number }>(
				"carts",
				`select max(extract(epoch from settle_at - now()))::float8 as pause
				from carts where id = any($1)`,
				[ids],
			)) as [{ pause: number }];
			expect(pause).toBeLessThanOrEqual(Math.min(60, 2 ** (1 + attempt)) * 1.25);
		}
	});
});
