import { expect, test } from "@jest/globals";
import { type Buyer, cartShop, home } from "./test/cart-shop.ts";

const shop = cartShop();
const claim = (id: string, user: Buyer, guest: Buyer = {}) =>
	shop.http(`POST /api/carts/${id}/claim`, { ...user, ...guest });
const quantities = (cart: { lines: { product_id: string; quantity: number }[] }) =>
	cart.lines.map(({ product_id, quantity }) => [product_id, quantity]);

test("gives the cart to an account without one", async () => {
	const guest = await shop.guestCart();
	const user = shop.user();
	const { status, body } = await claim(guest.id, user, guest.buyer);
	expect([status, body]).toMatchObject([
		200,
		{ id: guest.id, user_id: user.id, email: null, total_amount: 20, status: "open" },
	]);
	expect((await guest.checkout()).body.code).toBe("CART_NOT_FOUND");
	expect((await claim(guest.id, user, guest.buyer)).body).toEqual(body);
	expect((await shop.open(user)).id).toBe(guest.id);
});

test("adds quantities up to the limit, and keeps what the account's cart determines", async () => {
	const guest = await shop.guestCart();
	const user = await shop.userCart();
	const [common, many] = [shop.product(), shop.product()];
	for (const cart of [guest, user]) {
		await shop.put(cart.id, cart.buyer, common, 3);
		await shop.put(cart.id, cart.buyer, many, 600);
	}
	const paris = { ...home, country: "FR", postal_code: "75001", city: "Paris" };
	await shop.patch(user.id, user.buyer, { shipping_address: home });
	await shop.patch(guest.id, guest.buyer, { shipping_address: paris, billing_address: paris });
	const { body } = await claim(guest.id, user.buyer, guest.buyer);
	expect(body).toMatchObject({
		id: user.id,
		email: null,
		shipping_address: home,
		billing_address: paris,
	});
	expect(quantities(body)).toEqual([
		[user.product, 2],
		[common, 6],
		[many, 1000],
		[guest.product, 2],
	]);
	expect(await guest.get()).toMatchObject({ status: "expired", lines: [], email: null });
});

test("keeps at most 100 lines", async () => {
	const guest = await shop.guestCart();
	const user = await shop.userCart();
	const fill = ({ id, buyer }: typeof user, count: number) =>
		Promise.all(Array.from({ length: count }, () => shop.put(id, buyer, shop.product(), 1)));
	for (let i = 0; i < 7; i++) await Promise.all([fill(guest, 8), fill(user, 8)]);
	const { body } = await claim(guest.id, user.buyer, guest.buyer);
	expect(body.lines).toHaveLength(100);
});

test("merges once, regardless of concurrent requests and repetitions", async () => {
	const guest = await shop.guestCart();
	const user = await shop.userCart();
	const all = await Promise.all(
		Array.from({ length: 10 }, () => claim(guest.id, user.buyer, guest.buyer)),
	);
	for (const { status, body } of [...all, await claim(guest.id, user.buyer, guest.buyer)]) {
		expect([status, body.id]).toEqual([200, user.id]);
		expect(quantities(body)).toEqual([
			[user.product, 2],
			[guest.product, 2],
		]);
	}
});

test("merges several carts into one when they are claimed at once", async () => {
	const guests = await Promise.all(Array.from({ length: 5 }, () => shop.guestCart()));
	const user = shop.user();
	const all = await Promise.all(guests.map(({ id, buyer }) => claim(id, user, buyer)));
	expect(all.map(({ status }) => status)).toEqual(guests.map(() => 200));
	const cart = await shop.open(user);
	expect(cart.lines).toHaveLength(5);
	expect(new Set(all.map(({ body }) => body.id))).toEqual(new Set([cart.id]));
});

test("loses no line that is added at the same time", async () => {
	for (let i = 0; i < 5; i++) {
		const guest = await shop.guestCart();
		const user = await shop.userCart();
		const product = shop.product();
		const [claimed, added] = await Promise.all([
			claim(guest.id, user.buyer, guest.buyer),
			shop.put(user.id, user.buyer, product, 1),
		]);
		expect([claimed.status, added.status]).toEqual([200, 200]);
		expect((await user.get()).lines.map(({ product_id }) => product_id).sort()).toEqual(
			[user.product, guest.product, product].sort(),
		);
	}
});

test("requires an account and the token of the cart", async () => {
	const guest = await shop.guestCart();
	const [user, other] = [shop.user(), await shop.guest()];
	expect((await claim(guest.id, guest.buyer)).status).toBe(401);
	for (const buyer of [{}, { headers: other.headers! }])
		for (const account of [user, shop.asAdmin()])
			expect((await claim(guest.id, account, buyer)).body.code).toBe("CART_NOT_FOUND");
	await claim(guest.id, user, guest.buyer);
	expect((await claim(guest.id, shop.user(), guest.buyer)).body.code).toBe("CART_NOT_FOUND");
});

test("leaves carts in different currencies, and carts that are completed", async () => {
	const guest = await shop.guestCart();
	const user = await shop.userCart({ currency: "USD" });
	expect((await claim(guest.id, user.buyer, guest.buyer)).body.code).toBe("MIXED_CURRENCIES");
	expect([(await guest.get()).status, (await user.get()).lines.length]).toEqual(["open", 1]);
	await guest.checkout();
	expect((await claim(guest.id, user.buyer, guest.buyer)).body.code).toBe("CART_NOT_OPEN");
});

test("an empty cart takes the currency of the lines, also if another one was chosen", async () => {
	const user = shop.user();
	const mine = await shop.open(user, { currency: "USD" });
	const { cart, headers } = await shop.guest();
	const product = shop.product();
	await shop.put(cart.id, { headers: headers! }, product, 1);
	const claimed = await shop.http(`POST /api/carts/${cart.id}/claim`, { ...user, headers });
	expect(claimed.body).toMatchObject({ id: mine.id, currency: "EUR" });
	// Without the lines, the next one decides again.
	await shop.put(mine.id, user, product, 0);
	const dollars = await shop.put(mine.id, user, shop.product({ currency: "USD" }), 1);
	expect([dollars.status, dollars.body.currency]).toEqual([200, "USD"]);
});
