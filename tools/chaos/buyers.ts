import { randomUUID } from "node:crypto";
import { setTimeout as after } from "node:timers/promises";
import type { Client, Response } from "./client.ts";
import type { Profile } from "./profiles.ts";
import { type Random, random } from "./random.ts";

/** An order from its buyer's point of view. */
export interface Purchase {
	readonly user_id: string;
	readonly key: string;
	/** All conclusive responses. They must agree. */
	readonly responses: Response[];
	/** Set by the first response that contains it. */
	order_id?: string;
	/** A cancellation was requested, with any outcome. */
	cancelRequested?: true;
	/** Verbs for which the shop returned 200. */
	readonly acknowledged: Set<"cancel" | "ship" | "deliver">;
}
export interface Shopper {
	readonly id: string;
	readonly token: string;
}
export interface Market {
	readonly client: Client;
	readonly seed: number;
	readonly profile: Pick<Profile, "tokens" | "actions" | "large" | "carts">;
	/** The first ones are hot: most orders contain them. */
	readonly products: readonly string[];
	readonly admin: () => string;
	/** Whether buyers start no new orders. */
	readonly closing: () => boolean;
	/** Whether buyers stop retrying the requests that they have started. */
	readonly closed: () => boolean;
}

const HOT = 3;
/** Number of orders in a pile. */
const PILE = 10;

/**
 * Buys, cancels and retries until the market closes, then finishes the requests in progress. Adds
 * each purchase to `all`.
 */
export async function shop(
	number: number,
	{ id: user_id, token }: Shopper,
	market: Market,
	all: Purchase[],
): Promise<void> {
	const { client, products, profile, closing, closed } = market;
	const rng = random(market.seed * 1000 + number);
	const mine: Purchase[] = [];

	function basket() {
		const product = () =>
			rng.next() < 0.6 ? products[rng.whole(0, HOT - 1)]! : rng.pick(products);
		const items = profile.large
			? products.slice(0, profile.large.lines).map((product_id) => ({ product_id, quantity: 1 }))
			: Array.from({ length: rng.whole(1, 3) }, () => ({
					product_id: product(),
					quantity: rng.whole(1, 2),
				}));
		const address = rng.next() < 0.04 ? "Undeliverable Road 1" : "Main Street 1";
		return { items, payment_token: rng.weighted(profile.tokens), shipping_address: address };
	}
	function begin() {
		const purchase: Purchase = {
			user_id,
			key: randomUUID(),
			responses: [],
			acknowledged: new Set(),
		};
		mine.push(purchase);
		all.push(purchase);
		const body = basket();
		return async (headers?: Record<string, string>) => {
			const options = { token, body, key: purchase.key, ...(headers ? { headers } : {}) };
			const response = await client.requestUntilDone("buy", "POST /api/orders", options, closed);
			if (!response) return purchase;
			purchase.responses.push(response);
			const order_id = response.status < 400 ? response.body.id : response.body.order_id;
			if (order_id) purchase.order_id ??= order_id;
			return purchase;
		};
	}
	async function cancel(purchase: Purchase) {
		if (!purchase.order_id) return;
		purchase.cancelRequested = true;
		const response = await client.send("cancel", `POST /api/orders/${purchase.order_id}/cancel`, {
			token,
			body: { reason: "Changed my mind" },
		});
		// A slow cancellation returns the order in its current status.
		if (response?.status === 200 && response.body.status === "cancelled")
			purchase.acknowledged.add("cancel");
	}

	const actions = {
		buy: async () => void (await begin()()),
		/** Sends the same request twice concurrently, like an impatient browser. */
		twice: async () => {
			const send = begin();
			await Promise.all([send(), send()]);
		},
		/** Cancels the order while its saga is running. */
		hasty: async () => {
			const purchase = await begin()({ prefer: "respond-async" });
			await after(rng.between(0, 60));
			await cancel(purchase);
		},
		/** Places more orders than fit into one message, if they are large. */
		pile: async () => {
			await Promise.all(Array.from({ length: PILE }, () => begin()({ prefer: "respond-async" })));
			await after(rng.between(500, 1500));
		},
		browse: async () => {
			await client.send("browse", "GET /api/products?limit=100", {});
			await client.send("browse", "GET /api/orders?limit=100", { token });
		},
		cancel: async () => {
			if (mine.length > 0) await cancel(rng.pick(mine));
		},
	};
	while (!closing()) {
		await actions[rng.weighted(profile.actions)]();
		await after(rng.between(0, 40));
	}
}

/** Ships and delivers some of the orders, like a warehouse. `known` grows concurrently. */
export async function work(
	known: readonly Purchase[],
	{ client, seed, admin, closing }: Market,
): Promise<void> {
	const rng: Random = random(seed * 1000 + 999);
	while (!closing()) {
		await after(rng.between(20, 150));
		const purchase = known.length > 0 ? rng.pick(known) : undefined;
		if (!purchase?.order_id) continue;
		const verb = purchase.acknowledged.has("ship") ? "deliver" : "ship";
		const response = await client.send(verb, `POST /api/orders/${purchase.order_id}/${verb}`, {
			token: admin(),
		});
		if (response?.status === 200) purchase.acknowledged.add(verb);
	}
}
