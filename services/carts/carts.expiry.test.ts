import { describe, expect, test } from "@jest/globals";
import { DELETE_EXPIRED } from "./carts.statements.ts";
import { cartShop } from "./test/cart-shop.ts";

const shop = cartShop({ CART_TTL_DAYS: "60" });
const DAY_MS = 24 * 60 * 60 * 1000;
const expire = (...ids: string[]) =>
	shop.shop.databases.query(
		"carts",
		"update carts set expires_at = now() - interval '1 second' where id = any($1)",
		[ids],
	);
const sweep = async (limit = 100) =>
	(await shop.shop.databases.query<{ id: string }>("carts", DELETE_EXPIRED.text, [limit])).map(
		({ id }) => id,
	);
const daysLeft = ({ expires_at }: { expires_at: string }) =>
	Math.round((Date.parse(expires_at) - Date.now()) / DAY_MS);

test("of an unused guest's cart follows after a day, of a used one after 30 days", async () => {
	const { cart, headers } = await shop.guest();
	expect(daysLeft(cart)).toBe(1);
	const { body } = await shop.put(cart.id, { headers: headers! }, shop.product(), 1);
	expect(daysLeft(body)).toBe(30);
});

test("of a user's cart follows the setting, and each change and read extends it", async () => {
	const { id, get, buyer, product } = await shop.userCart();
	expect(daysLeft(await get())).toBe(60);
	const shorten = () =>
		shop.shop.databases.query(
			"carts",
			"update carts set expires_at = now() + interval '2 days' where id = $1",
			[id],
		);
	await shorten();
	expect(daysLeft((await shop.put(id, buyer, product, 1)).body)).toBe(60);
	await shorten();
	await get();
	expect(daysLeft(await get())).toBe(60);
});

test("a completed cart expires after the lifetime of its owner's carts", async () => {
	for (const [cart, days] of [
		[await shop.guestCart(), 30],
		[await shop.userCart(), 60],
	] as const) {
		expect((await cart.checkout()).status).toBe(201);
		const completed = await cart.get();
		expect([completed.status, daysLeft(completed)]).toEqual(["completed", days]);
	}
});

test("hides an open cart before it is deleted, and the account gets another", async () => {
	const { id, buyer, get } = await shop.userCart();
	await expire(id);
	expect(await get()).toMatchObject({ code: "CART_NOT_FOUND" });
	const other = await shop.open(buyer);
	expect(other.id).not.toBe(id);
	const guest = await shop.guestCart();
	await expire(guest.id);
	const claimed = await shop.http(`POST /api/carts/${guest.id}/claim`, {
		...buyer,
		...guest.buyer,
	});
	expect(claimed.body.code).toBe("CART_NOT_FOUND");
});

test.each(["EUR", "USD"])(
	"of the account's next cart, in %s, opens the cart of a cancelled order with its own lines",
	async (currency) => {
		const { id, buyer, product, checkout, get } = await shop.userCart();
		shop.orders.outcome = "pending";
		const { id: order_id } = (await checkout()).body;
		const next = await shop.open(buyer);
		await shop.put(next.id, buyer, shop.product({ currency }), 1);
		await expire(next.id);
		shop.orders.settle(order_id, "PAYMENT_DECLINED");
		expect((await checkout()).body.code).toBe("PAYMENT_DECLINED");
		expect(await get()).toMatchObject({
			status: "open",
			cancellation_reason: "PAYMENT_DECLINED",
			lines: [{ product_id: product, quantity: 2 }],
		});
		expect((await get()).lines).toHaveLength(1);
		expect((await shop.open(buyer)).id).toBe(id);
		expect(await shop.row(next.id)).toBeUndefined();
	},
);

test("of the account's cart gives the cart of a guest to the account alone", async () => {
	const own = await shop.userCart();
	await expire(own.id);
	const guest = await shop.guestCart();
	const account = { ...own.buyer, ...guest.buyer };
	const { body } = await shop.http(`POST /api/carts/${guest.id}/claim`, account);
	expect([body.id, body.lines.length]).toEqual([guest.id, 1]);
	expect(await shop.row(own.id)).toBeUndefined();
});

test("deletes expired and completed carts in batches, but none in checkout", async () => {
	const [open, completed, completing, current] = [
		await shop.userCart(),
		await shop.userCart(),
		await shop.userCart(),
		await shop.userCart(),
	];
	await completed.checkout();
	expect(daysLeft(await completed.get())).toBe(60);
	shop.orders.outcome = "pending";
	await completing.checkout();
	await sweep();
	await expire(open.id, completed.id, completing.id);
	const batches = await Promise.all([sweep(1), sweep(1)]);
	const rest = await sweep();
	expect([...batches.flat(), ...rest].sort()).toEqual([open.id, completed.id].sort());
	expect((await completing.get()).status).toBe("completing");
	expect((await current.get()).status).toBe("open");
});

describe("a lifetime of one day", () => {
	const shortLived = cartShop({ CART_TTL_DAYS: "1" });
	test("is extended by each change and read", async () => {
		const { id, get, buyer, product } = await shortLived.userCart();
		const hoursLeft = ({ expires_at }: { expires_at: string }) =>
			Math.round((Date.parse(expires_at) - Date.now()) / 3_600_000);
		const shorten = () =>
			shortLived.shop.databases.query(
				"carts",
				"update carts set expires_at = now() + interval '1 hour' where id = $1",
				[id],
			);
		await shorten();
		expect(hoursLeft((await shortLived.put(id, buyer, product, 3)).body)).toBe(24);
		await shorten();
		await get();
		expect(hoursLeft(await get())).toBe(24);
	});
});
