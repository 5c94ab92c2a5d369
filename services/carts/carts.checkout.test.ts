import { beforeEach, describe, expect, test } from "@jest/globals";
import { v7 as uuid } from "uuid";
import { createOrderToken } from "../../lib/security/order-token.ts";
import { eventually } from "../../test/support/eventually.ts";
import { cartShop, home } from "./test/cart-shop.ts";

/** Enough connections for 20 requests at the same time, which wait for each other. */
const shop = cartShop({ DATABASE_POOL: "20" });
const vat = { country: "DE", name: "VAT", rate: 0.19 };
const parcel = { code: "parcel", name: "Parcel", price: 5, countries: ["DE"], position: 1 };

beforeEach(async () => {
	shop.reconnect();
	await shop.configure({ rates: [], methods: [] });
});

describe("a checkout", () => {
	test("places the order at the prices of the cart, and completes it", async () => {
		await shop.configure({ rates: [vat], methods: [parcel] });
		const code = `C${uuid().slice(-10)}`;
		const { id: promotion_id } = await shop.promotion({ code });
		const { id, buyer, product, checkout, get } = await shop.userCart();
		await shop.patch(id, buyer, {
			email: "other@example.com",
			shipping_address: home,
			billing_address: { ...home, name: "Billing" },
			coupon_codes: [code],
		});
		// On a busy machine, a service may exceed its time limit.
		const cart = await eventually(async () => {
			const found = await get();
			expect(found.estimated).toBe(false);
			return found;
		});
		const response = await eventually(async () => {
			const found = await checkout({ expected_total: 23, payment_token: "tok_visa" });
			expect(found.status).not.toBe(503);
			return found;
		});
		expect(response.status).toBe(201);
		const order_id = response.body.id;
		expect(response.body).toMatchObject({ status: "confirmed", total_amount: 23 });
		expect(response.body.order_token).toBeUndefined();
		expect(shop.orders.requests.get(order_id)).toEqual({
			order_id,
			user_id: cart.user_id,
			payment_token: "tok_visa",
			priced: {
				email: "other@example.com",
				currency: "EUR",
				prices_include_tax: true,
				lines: [
					{
						product_id: product,
						name: "Tea",
						quantity: 2,
						unit_price: 10,
						discount: 2,
						tax: 2.87,
						total: 18,
						tax_rate: { name: "VAT", rate: 0.19 },
					},
				],
				adjustments: [{ promotion_id, name: "Ten percent", code, amount: 2 }],
				shipping_method: { code: "parcel", name: "Parcel" },
				shipping_amount: 5,
				shipping_discount: 0,
				shipping_tax: 0.8,
				shipping_tax_rate: { name: "VAT", rate: 0.19 },
				taxes: [{ name: "VAT", rate: 0.19, amount: 3.67 }],
				subtotal: 20,
				discount_amount: 2,
				tax_amount: 3.67,
				total_amount: 23,
				shipping_address: home,
				billing_address: { ...home, name: "Billing" },
				coupon_codes: [code],
			},
		});
		// The completed cart keeps the prices of the order.
		await shop.change(product, { price: 99 });
		const { available: _, ...line } = cart.lines[0]!;
		expect(await get()).toMatchObject({
			status: "completed",
			order_id,
			lines: [line],
			total_amount: 23,
			taxes: cart.taxes,
			shipping_method: "parcel",
			problems: [],
		});
		const events = await shop.shop.databases.query(
			"carts",
			"select type, data from outbox where subject = $1",
			[id],
		);
		expect(events).toEqual([{ type: "cart.completed", data: { cart_id: id, order_id } }]);
	});

	test("of a guest returns the token of the order, which is not stored", async () => {
		const { id, checkout } = await shop.guestCart();
		const headers = { "idempotency-key": uuid() };
		const { status, body } = await checkout({ expected_total: 20 }, headers);
		expect([status, body.user_id, body.email]).toEqual([201, null, "guest@example.com"]);
		const token = createOrderToken(shop.shop.env.JWT_SECRET!, body.id);
		expect(body.order_token).toBe(token);
		const stored = await shop.shop.databases.query("carts", "select * from idempotency_keys");
		expect(JSON.stringify([stored, await shop.row(id)])).not.toContain(token);
		const replayed = await checkout({ expected_total: 20 }, headers);
		expect(replayed.headers.get("idempotent-replayed")).toBe("true");
		expect([replayed.status, replayed.body]).toEqual([201, body]);
	});

	test("accepts payment_method in place of payment_token, and no card number", async () => {
		const { checkout, get } = await shop.userCart();
		const card = { expected_total: 20, payment_method: "4242 4242 4242 4242" };
		expect((await checkout(card)).body.errors[0].code).toBe("CARD_NUMBER");
		expect((await get()).status).toBe("open");
		const { body } = await checkout({ expected_total: 20, payment_method: "pm_1" });
		expect(shop.orders.requests.get(body.id)?.payment_token).toBe("pm_1");
	});

	test("with If-Match takes effect only if nothing has changed the cart since", async () => {
		const { id, buyer, checkout } = await shop.userCart();
		const tag = (await shop.get(id, buyer)).headers.get("etag")!;
		const changed = await shop.patch(id, buyer, { email: "other@example.com" });
		const key = { "idempotency-key": uuid() };
		const stale = await checkout(undefined, { ...key, "if-match": tag });
		expect([stale.status, stale.body.code]).toEqual([412, "PRECONDITION_FAILED"]);
		expect((await checkout(undefined, { "if-match": "nonsense" })).body.code).toBe("BAD_HEADER");
		const current = { ...key, "if-match": changed.headers.get("etag")! };
		const placed = await checkout(undefined, current);
		expect([placed.status, placed.headers.get("etag")]).toEqual([201, null]);
		// The checkout has changed the cart, but its response is repeated.
		const { status, body } = await checkout(undefined, current);
		expect([status, body]).toEqual([201, placed.body]);
	});

	test("of a completed cart is rejected with its order; other changes too", async () => {
		const { id, buyer, product, checkout } = await shop.userCart();
		const { id: order_id } = (await checkout()).body;
		expect((await checkout()).body).toMatchObject({
			status: 409,
			code: "CART_COMPLETED",
			order_id,
		});
		expect((await shop.put(id, buyer, product, 1)).body.code).toBe("CART_NOT_OPEN");
		expect((await shop.patch(id, buyer, { email: null })).body.code).toBe("CART_NOT_OPEN");
		expect((await shop.http(`DELETE /api/carts/${id}`, buyer)).body.code).toBe("CART_NOT_OPEN");
		// The account's next cart is a new one.
		expect((await shop.open(buyer)).id).not.toBe(id);
	});
});

describe("the expected total", () => {
	test("is the limit: a lower total is charged, a higher one changes nothing", async () => {
		const { product, checkout, get } = await shop.userCart();
		await shop.change(product, { price: 12 });
		const refused = await checkout({ expected_total: 20 });
		expect(refused.body).toMatchObject({
			status: 409,
			code: "PRICE_CHANGED",
			cart: { total_amount: 24, changes: [{ product_id: product, from: 10, to: 12 }] },
		});
		expect(shop.orders.requests.size).toBe(0);
		expect(await get()).toMatchObject({ status: "open", order_id: null });
		await shop.change(product, { price: 9 });
		expect((await checkout({ expected_total: 24 })).body.total_amount).toBe(18);
	});

	test("with more decimals than the currency has is rejected, and changes nothing", async () => {
		const { checkout, get } = await shop.userCart();
		for (const expected_total of [20.001, 59.971])
			expect((await checkout({ expected_total })).body).toMatchObject({
				status: 422,
				code: "VALIDATION_ERROR",
				errors: [{ field: "expected_total", code: "MONEY" }],
			});
		expect(shop.orders.requests.size).toBe(0);
		expect(await get()).toMatchObject({ status: "open", order_id: null });
		expect((await checkout({ expected_total: 20 })).status).toBe(201);
	});

	test("is compared in minor units", async () => {
		const { id, buyer, checkout } = await shop.userCart();
		await shop.put(id, buyer, shop.product({ price: 0.1 }), 3);
		expect((await checkout({ expected_total: 20.29 })).body.code).toBe("PRICE_CHANGED");
		expect((await checkout({ expected_total: 20.3 })).status).toBe(201);
	});
});

describe("a checkout without effect", () => {
	const findCompleting = () =>
		shop.shop.databases.query("carts", "select from carts where status = 'completing'");
	// Carts are completed after the responses of their checkouts.
	beforeEach(() => eventually(async () => expect(await findCompleting()).toEqual([])));

	test.each([
		[
			"CART_EMPTY",
			async () => {
				const user = shop.user();
				return shop.checkout((await shop.open(user)).id, user);
			},
		],
		[
			"EMAIL_REQUIRED",
			async () => {
				const { id, buyer } = await shop.guestCart();
				await shop.patch(id, buyer, { email: null });
				return shop.checkout(id, buyer);
			},
		],
		[
			"ADDRESS_REQUIRED",
			async () => {
				await shop.configure({ rates: [vat] });
				return (await shop.userCart()).checkout();
			},
		],
		[
			"PRODUCT_NOT_FOUND",
			async () => {
				const { product, checkout } = await shop.userCart();
				await shop.change(product, null);
				return checkout();
			},
		],
		[
			"CHOOSE_VARIANT",
			async () => {
				const { product, checkout } = await shop.userCart();
				await shop.change(product, { variant_count: 1 });
				return checkout();
			},
		],
		[
			"MIXED_CURRENCIES",
			async () => {
				const { product, checkout } = await shop.userCart();
				await shop.change(product, { currency: "USD" });
				return checkout();
			},
		],
		[
			"METHOD_UNAVAILABLE",
			async () => {
				await shop.configure({ methods: [parcel] });
				const { id, buyer, checkout } = await shop.userCart();
				await shop.patch(id, buyer, { shipping_address: home, shipping_method: "parcel" });
				await shop.configure({ methods: [{ ...parcel, code: "other" }] });
				return checkout();
			},
		],
		[
			"UNDELIVERABLE",
			async () => {
				await shop.configure({ methods: [{ ...parcel, countries: ["FR"] }] });
				const { id, buyer, checkout } = await shop.userCart();
				await shop.patch(id, buyer, { shipping_address: home });
				return checkout();
			},
		],
		[
			"COUPON_UNKNOWN",
			async () => {
				const { id: promotion, code } = await shop.promotion({ code: `C${uuid().slice(-10)}` });
				const { id, buyer, checkout } = await shop.userCart();
				await shop.patch(id, buyer, { coupon_codes: [code!] });
				await shop.shop.call("promotions.remove", { id: promotion }, shop.adminMeta);
				return checkout();
			},
		],
		[
			"COUPON_USED_UP",
			async () => {
				const fields = { code: `C${uuid().slice(-10)}`, usage_limit: 1 };
				const { id: promotion_id, code } = await shop.promotion(fields);
				const { id, buyer, checkout } = await shop.userCart();
				await shop.patch(id, buyer, { coupon_codes: [code!] });
				const uses = [{ promotion_id, amount: 1 }];
				const orders = [{ order_id: uuid(), customer: uuid(), uses }];
				await shop.shop.call("promotions.redeem", { orders });
				return checkout();
			},
		],
		[
			"SERVICE_UNAVAILABLE",
			async () => {
				await shop.configure({ rates: [vat] });
				const { id, buyer, checkout } = await shop.userCart();
				await shop.patch(id, buyer, { shipping_address: home });
				shop.disconnect("tax");
				return checkout();
			},
		],
	])("is rejected with %s", async (code, act) => {
		const { body } = await act();
		expect(body.code).toBe(code);
		expect(shop.orders.requests.size).toBe(0);
		expect(await findCompleting()).toEqual([]);
	});
});

describe("an order that is refused", () => {
	test.each([
		["PAYMENT_DECLINED", 402],
		["OUT_OF_STOCK", 409],
		["ORDER_TOO_LARGE", 409],
	] as const)("with %s opens the cart again, with the reason", async (reason, status) => {
		const { id, buyer, checkout, get } = await shop.userCart();
		const tag = (await shop.get(id, buyer)).headers.get("etag")!;
		shop.orders.outcome = reason;
		const { body } = await checkout();
		expect(body).toMatchObject({ status, code: reason });
		expect(await get()).toMatchObject({
			status: "open",
			order_id: null,
			cancellation_reason: reason,
			total_amount: 20,
		});
		const stale = await shop.patch(id, buyer, { email: null }, { "if-match": tag });
		expect(stale.status).toBe(412);
		shop.orders.outcome = "confirmed";
		const second = await checkout();
		expect(second.status).toBe(201);
		expect(second.body.id).not.toBe(body.order_id);
		expect(await get()).toMatchObject({ status: "completed", cancellation_reason: null });
	});

	test("moves the lines to the cart that the user has opened since", async () => {
		const { id, buyer, product, checkout, get } = await shop.userCart();
		shop.orders.outcome = "pending";
		const { id: order_id } = (await checkout()).body;
		const other = await shop.open(buyer);
		expect(other.id).not.toBe(id);
		await shop.put(other.id, buyer, product, 1);
		shop.orders.settle(order_id, "PAYMENT_DECLINED");
		expect((await checkout()).body.code).toBe("PAYMENT_DECLINED");
		expect(await get()).toMatchObject({
			status: "expired",
			lines: [],
			cancellation_reason: "PAYMENT_DECLINED",
		});
		expect((await shop.get(other.id, buyer)).body.lines).toMatchObject([
			{ product_id: product, quantity: 3 },
		]);
	});
});

describe("repeating a checkout", () => {
	test("20 times at once places one order", async () => {
		const { checkout, get } = await shop.userCart();
		const responses = await Promise.all(Array.from({ length: 20 }, () => checkout()));
		expect(shop.orders.requests.size).toBe(1);
		const [order_id] = shop.orders.requests.keys();
		for (const { status, body } of responses)
			expect(status === 201 ? body.id : [body.code, body.order_id]).toEqual(
				status === 201 ? order_id : ["CART_COMPLETED", order_id],
			);
		expect(responses.some(({ status }) => status === 201)).toBe(true);
		expect(await get()).toMatchObject({ status: "completed", order_id });
	});

	test("20 times at once with the same key returns the same order to all", async () => {
		for (const { checkout } of [await shop.guestCart(), await shop.userCart()]) {
			const headers = { "idempotency-key": uuid() };
			const all = await Promise.all(
				Array.from({ length: 20 }, () => checkout({ expected_total: 20 }, headers)),
			);
			expect(new Set(all.map(({ status }) => status))).toEqual(new Set([201]));
			expect(new Set(all.map(({ body }) => body.id)).size).toBe(1);
		}
		expect(shop.orders.requests.size).toBe(2);
	});

	test("with the key of another body is rejected", async () => {
		const { checkout } = await shop.guestCart();
		const headers = { "idempotency-key": uuid() };
		await checkout({ expected_total: 20 }, headers);
		expect((await checkout({ expected_total: 21 }, headers)).body.code).toBe(
			"IDEMPOTENCY_KEY_REUSED",
		);
	});

	test("with a key repeats a refusal, also after another checkout", async () => {
		const { checkout } = await shop.userCart();
		const headers = { "idempotency-key": uuid() };
		shop.orders.outcome = "PAYMENT_DECLINED";
		const first = await checkout({ expected_total: 20 }, headers);
		shop.orders.outcome = "confirmed";
		const second = await checkout({ expected_total: 20 }, headers);
		expect(second.headers.get("idempotent-replayed")).toBe("true");
		expect(second.body).toMatchObject({ code: "PAYMENT_DECLINED", order_id: first.body.order_id });
		expect((await checkout()).status).toBe(201);
		expect((await checkout({ expected_total: 20 }, headers)).status).toBe(402);
	});

	test("keeps a key free whose checkout was rejected", async () => {
		const { checkout } = await shop.userCart();
		const headers = { "idempotency-key": uuid() };
		const body = { expected_total: 19 };
		expect((await checkout(body, headers)).body.code).toBe("PRICE_CHANGED");
		expect((await checkout({ expected_total: 20 }, headers)).status).toBe(201);
	});

	test("while the order waits for its payment returns the pending order", async () => {
		const { checkout, get } = await shop.guestCart();
		shop.orders.outcome = "pending";
		const first = await checkout();
		expect(first).toMatchObject({
			status: 201,
			body: { status: "pending", payment: { status: "requires_action" } },
		});
		expect(await get()).toMatchObject({ status: "completing", order_id: first.body.id });
		expect((await checkout()).body).toEqual(first.body);
		expect(shop.orders.requests.size).toBe(1);
		shop.orders.settle(first.body.id, "confirmed");
		expect((await checkout()).body).toMatchObject({ id: first.body.id, status: "confirmed" });
		expect((await get()).status).toBe("completed");
	});
});
