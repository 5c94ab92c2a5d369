import { randomUUID } from "node:crypto";
import { setTimeout as after } from "node:timers/promises";
import type { Client, Response } from "./client.ts";
import type { Profile } from "./profiles.ts";
import { type Random, random } from "./random.ts";

/** An order as its buyer knows it. */
export interface Purchase {
	readonly user_id: string;
	readonly key: string;
	/** Every answer that said something; all of them are to say the same. */
	readonly answers: Response[];
	/** Known from an answer. */
	order_id?: string;
	/** Somebody asked for it to be cancelled, whatever came of that. */
	cancelTried?: true;
	/** What the shop has promised: 200 to this verb. */
	readonly promised: Set<"cancel" | "ship" | "deliver">;
}
export interface Shopper {
	readonly id: string;
	readonly token: string;
}
export interface Market {
	readonly client: Client;
	readonly seed: number;
	readonly profile: Pick<Profile, "tokens" | "wishes" | "large">;
	/** The first ones are hot: most orders are for them. */
	readonly products: readonly string[];
	readonly admin: () => string;
	/** Nothing new is begun any more. */
	readonly closing: () => boolean;
	/** Nobody waits any longer for what was begun. */
	readonly closed: () => boolean;
}

const HOT = 3;
/** Orders of a pile. */
const PILE = 10;

/** Buys, cancels and asks again until the market closes, and comes to an end with everything that was begun. `all` grows meanwhile. */
export async function shop(
	number: number,
	{ id: user_id, token }: Shopper,
	market: Market,
	all: Purchase[],
): Promise<void> {
	const { client, products, profile, closing, closed } = market;
	const dice = random(market.seed * 1000 + number);
	const mine: Purchase[] = [];

	function basket() {
		const product = () =>
			dice.next() < 0.6 ? products[dice.whole(0, HOT - 1)]! : dice.pick(products);
		const items = profile.large
			? products.slice(0, profile.large.lines).map((product_id) => ({ product_id, quantity: 1 }))
			: Array.from({ length: dice.whole(1, 3) }, () => ({
					product_id: product(),
					quantity: dice.whole(1, 2),
				}));
		const address = dice.next() < 0.04 ? "Undeliverable Road 1" : "Main Street 1";
		return { items, payment_token: dice.weighted(profile.tokens), shipping_address: address };
	}
	function begin() {
		const purchase: Purchase = { user_id, key: randomUUID(), answers: [], promised: new Set() };
		mine.push(purchase);
		all.push(purchase);
		const body = basket();
		return async (headers?: Record<string, string>) => {
			const options = { token, body, key: purchase.key, ...(headers ? { headers } : {}) };
			const answer = await client.insist("buy", "POST /api/orders", options, closed);
			if (!answer) return purchase;
			purchase.answers.push(answer);
			const order_id = answer.status < 400 ? answer.body.id : answer.body.order_id;
			if (order_id) purchase.order_id ??= order_id;
			return purchase;
		};
	}
	async function cancel(purchase: Purchase) {
		if (!purchase.order_id) return;
		purchase.cancelTried = true;
		const answer = await client.send("cancel", `POST /api/orders/${purchase.order_id}/cancel`, {
			token,
			body: { reason: "Changed my mind" },
		});
		// One that takes its time is answered with the order as it is.
		if (answer?.status === 200 && answer.body.status === "cancelled")
			purchase.promised.add("cancel");
	}

	const wishes = {
		buy: async () => void (await begin()()),
		/** The same request twice at once, as an impatient browser sends it. */
		twice: async () => {
			const send = begin();
			await Promise.all([send(), send()]);
		},
		/** Takes the order back while it is being worked on. */
		hasty: async () => {
			const purchase = await begin()({ prefer: "respond-async" });
			await after(dice.between(0, 60));
			await cancel(purchase);
		},
		/** More orders than anything of the shop can carry in one message, if they are large. */
		pile: async () => {
			await Promise.all(Array.from({ length: PILE }, () => begin()({ prefer: "respond-async" })));
			await after(dice.between(500, 1500));
		},
		browse: async () => {
			await client.send("browse", "GET /api/products?limit=100", {});
			await client.send("browse", "GET /api/orders?limit=100", { token });
		},
		cancel: async () => {
			if (mine.length > 0) await cancel(dice.pick(mine));
		},
	};
	while (!closing()) {
		await wishes[dice.weighted(profile.wishes)]();
		await after(dice.between(0, 40));
	}
}

/** Ships and delivers some of what is confirmed, as people in a warehouse do. `known` grows while they work. */
export async function work(
	known: readonly Purchase[],
	{ client, seed, admin, closing }: Market,
): Promise<void> {
	const dice: Random = random(seed * 1000 + 999);
	while (!closing()) {
		await after(dice.between(20, 150));
		const purchase = known.length > 0 ? dice.pick(known) : undefined;
		if (!purchase?.order_id) continue;
		const verb = purchase.promised.has("ship") ? "deliver" : "ship";
		const answer = await client.send(verb, `POST /api/orders/${purchase.order_id}/${verb}`, {
			token: admin(),
		});
		if (answer?.status === 200) purchase.promised.add(verb);
	}
}
