import { randomUUID } from "node:crypto";
import { setTimeout as after } from "node:timers/promises";
import type { Market, Purchase, Shopper } from "./buyers.ts";
import type { Response } from "./client.ts";
import { type Random, random } from "./random.ts";

/** Promotions with limits that a run reaches. `amount` is the discount on an order. */
export const COUPONS = [
	{ code: "USES", amount: 3, limits: { usage_limit: 15 } },
	{ code: "BUDGET", amount: 4, limits: { budget: 41 } },
	{ code: "ONCE", amount: 2, limits: { usage_limit_per_customer: 1 } },
] as const;

/** A cart from its buyer's point of view. */
interface OpenCart {
	readonly id: string;
	/** Access token of the account; undefined for a guest. */
	readonly token?: string;
	readonly headers?: Record<string, string>;
	total: number;
}
/** Number of guests per buyer, who use a coupon again and again. */
const GUESTS = 4;
/** Number of checkouts of a cart that its buyer corrects after a refusal. */
const MAX_CHECKOUTS = 3;
/** The cart that an order belongs to is the name in its address. */
export const nameOf = (cartId: string): string => `Cart ${cartId}`;

/**
 * Fills carts with coupons and checks them out until the market closes, then finishes the requests
 * in progress. Adds each checkout to `all`. Double clicks with one Idempotency-Key are one
 * purchase.
 */
export async function shopWithCarts(
	number: number,
	{ id: user_id, token }: Shopper,
	market: Market,
	all: Purchase[],
): Promise<void> {
	const { client, products, profile, admin, closing, closed } = market;
	const rng: Random = random(market.seed * 1000 + 700 + number);
	const cancelled = new Set<string>();
	const mine: Purchase[] = [];

	const request = (what: string, route: string, options: object) =>
		client.requestUntilDone(what, route, options, closed);
	const accessOf = (cart: OpenCart) => ({
		...(cart.token ? { token: cart.token } : {}),
		...(cart.headers ? { headers: cart.headers } : {}),
	});

	async function open(isGuest: boolean): Promise<OpenCart | undefined> {
		const access = isGuest ? {} : { token };
		const response = await request("open", "POST /api/carts", { ...access, body: {} });
		if (response?.status !== 201) return undefined;
		const { id, token: secret } = response.body;
		return { id, total: 0, ...(isGuest ? { headers: { "cart-token": secret } } : { token }) };
	}
	async function change(cart: OpenCart, route: string, body: object): Promise<boolean> {
		const options = { ...accessOf(cart), body };
		const response = await request("fill", route.replace(":id", cart.id), options);
		if (response?.status !== 200) return false;
		cart.total = response.body.total_amount;
		return true;
	}
	const address = (cart: OpenCart) => ({
		name: nameOf(cart.id),
		line1: rng.next() < 0.04 ? "Undeliverable Road 1" : "Main Street 1",
		postal_code: "10115",
		city: "Berlin",
		country: "DE",
	});
	async function fill(cart: OpenCart): Promise<boolean> {
		for (let lines = rng.whole(1, 2); lines > 0; lines--)
			if (!(await change(cart, `PUT /api/carts/:id/lines/${rng.pick(products)}`, { quantity: 1 })))
				return false;
		const email = `guest-${number}-${rng.whole(1, GUESTS)}@example.com`;
		return change(cart, "PATCH /api/carts/:id", {
			...(cart.token ? {} : { email: rng.next() < 0.5 ? email : email.toUpperCase() }),
			shipping_address: address(cart),
			coupon_codes: rng.next() < 0.9 ? [rng.pick(COUPONS).code] : [],
		});
	}
	/** Merges a guest's cart into that of the account. @returns the cart of the account */
	async function claim(guest: OpenCart): Promise<OpenCart | undefined> {
		const options = { token, headers: guest.headers!, body: {} };
		await request("claim", `POST /api/carts/${guest.id}/claim`, options);
		const cart = await open(false);
		const isMarked =
			cart && (await change(cart, "PATCH /api/carts/:id", { shipping_address: address(cart) }));
		return isMarked ? cart : undefined;
	}

	/** Sends a checkout `times` at once, with one key or without a key. */
	async function checkOut(cart: OpenCart, times: number): Promise<Response | undefined> {
		const isKeyed = rng.next() < 0.5;
		const key = randomUUID();
		const body = { expected_total: cart.total, payment_token: rng.weighted(profile.tokens) };
		const options = { ...accessOf(cart), body, ...(isKeyed ? { key } : {}) };
		const shared = begin(key);
		const responses = await Promise.all(
			Array.from({ length: times }, async () => {
				const purchase = isKeyed ? shared : begin(randomUUID());
				const response = await request("check out", `POST /api/carts/${cart.id}/checkout`, options);
				if (response) record(purchase, response);
				return response;
			}),
		);
		return responses.find((response) => response && response.status < 400) ?? responses[0];
	}
	function begin(key: string): Purchase {
		const purchase: Purchase = { user_id, key, responses: [], acknowledged: new Set() };
		mine.push(purchase);
		all.push(purchase);
		return purchase;
	}
	function record(purchase: Purchase, response: Response): void {
		const { status, body } = response;
		const order_id = status < 400 ? body.id : body.order_id;
		// A completed cart has an order, but this request has not placed it.
		if (!order_id || body.code === "CART_COMPLETED") return;
		purchase.responses.push(response);
		purchase.order_id ??= order_id;
		if (cancelled.has(order_id)) purchase.cancelRequested = true;
	}
	async function cancel(order_id: string): Promise<void> {
		cancelled.add(order_id);
		const purchases = () => mine.filter((purchase) => purchase.order_id === order_id);
		for (const purchase of purchases()) purchase.cancelRequested = true;
		const response = await client.send("cancel", `POST /api/orders/${order_id}/cancel`, {
			token: admin(),
			body: {},
		});
		if (response?.status === 200 && response.body.status === "cancelled")
			for (const purchase of purchases()) purchase.acknowledged.add("cancel");
	}

	/** Checks out until the cart is ordered, and corrects it after a refusal. */
	async function buy(cart: OpenCart, times: number): Promise<void> {
		for (let attempt = 0; attempt < MAX_CHECKOUTS; attempt++) {
			const response = await checkOut(cart, times);
			const { status = 0, body } = response ?? {};
			if (status === 201 && rng.next() < 0.3) await cancel(body.id);
			if (status < 400 || body?.code === "CART_COMPLETED") return;
			if (body?.code !== "COUPON_USED_UP") continue;
			if (!(await change(cart, "PATCH /api/carts/:id", { coupon_codes: [] }))) return;
		}
	}
	const actions = {
		once: (cart: OpenCart) => buy(cart, 1),
		/** Sends the same checkout several times, like an impatient buyer. */
		twice: (cart: OpenCart) => buy(cart, rng.whole(2, 3)),
		/** Cancels the order while its checkout is running. */
		async hasty(cart: OpenCart) {
			const progress = { ended: false };
			const checkingOut = checkOut(cart, 1).finally(() => {
				progress.ended = true;
			});
			const route = `GET /api/carts/${cart.id}`;
			let order_id: string | undefined;
			while (!order_id && !progress.ended)
				order_id = (await client.send("look", route, accessOf(cart)))?.body?.order_id;
			await after(rng.between(0, 30));
			if (order_id) await cancel(order_id);
			await checkingOut;
		},
		/** Sends the checkout once and does not wait for its order. */
		async abandon(cart: OpenCart) {
			const body = { expected_total: cart.total, payment_token: "tok_ok" };
			const options = { ...accessOf(cart), body };
			await client.send("check out", `POST /api/carts/${cart.id}/checkout`, options);
		},
	};
	while (!closing()) {
		const isGuest = rng.next() < 0.7;
		let cart = await open(isGuest);
		if (cart && !(await fill(cart))) cart = undefined;
		if (cart && isGuest && rng.next() < 0.15) cart = await claim(cart);
		const action = rng.weighted(profile.carts!.actions);
		if (cart) await actions[action](cart);
		await after(rng.between(0, 40));
	}
}
