import type { Member } from "./members.ts";

export type FaultKind = "kill" | "pause" | "restart";
/** A kind of member, or the nodes that run certain services. */
type Target = Member["kind"] | "orders" | "goods" | "money";
/** Relative frequencies. */
type Weights<K extends string> = Readonly<Partial<Record<K, number>>>;

/** The faults and the workload of a run. */
export interface Profile {
	readonly about: string;
	/** Seconds between two faults, minimum and maximum. */
	readonly every: readonly [number, number];
	readonly targets: Weights<Target>;
	readonly kinds: Weights<FaultKind>;
	/** Seconds until repair, minimum and maximum, instead of the defaults. */
	readonly lasts?: readonly [number, number];
	/** A due fault waits until this query on the orders database returns a row. `$1` is the node. */
	readonly moment?: string;
	/** A delay on every node: the name of a file in tools/chaos/slow. */
	readonly slow?: "reserve" | "redeem";
	/**
	 * Lines per order and characters per product description, on a NATS server with the smallest
	 * `max_payload`.
	 */
	readonly large?: { readonly lines: number; readonly description: number };
	/** Buyers who order through carts with coupons. */
	readonly carts?: {
		/** Their share of all buyers, from 0 to 1. */
		readonly share: number;
		/**
		 * Actions: check out once; send a checkout several times at once; cancel the order during the
		 * checkout (`hasty`); send a checkout and forget it.
		 */
		readonly actions: Weights<"once" | "twice" | "hasty" | "abandon">;
	};
	/** Seconds within which everything must settle after the last fault, instead of the default. */
	readonly settleSeconds?: number;
	/** Payments go through a stand-in for Stripe with a misbehaving network. */
	readonly stripe?: true;
	/** Payment tokens; payment methods of Stripe with `stripe`. */
	readonly tokens: Weights<string>;
	/**
	 * Actions of buyers: place an order; send a request twice; cancel during the saga (`hasty`);
	 * cancel an earlier order; place ten orders without waiting (`pile`); list products and orders.
	 */
	readonly actions: Weights<"buy" | "twice" | "hasty" | "cancel" | "pile" | "browse">;
}

export const PROFILES = {
	all: {
		about: "everything",
		every: [0.6, 2.6],
		// Nodes of the orders service hold the most state in progress.
		targets: { orders: 40, node: 28, nats: 10, redis: 8, postgres: 14 },
		kinds: { kill: 50, pause: 35, restart: 15 },
		tokens: { tok_ok: 76, tok_declined: 8, tok_flaky: 8, tok_timeout: 5, tok_slow: 3 },
		actions: { buy: 52, twice: 10, hasty: 26, cancel: 12 },
		carts: { share: 0.25, actions: { once: 45, twice: 25, hasty: 22, abandon: 8 } },
		settleSeconds: 60,
	},
	takeover: {
		about: "nodes are killed during sagas, which other nodes must finish",
		every: [0.8, 1.6],
		targets: { orders: 1 },
		kinds: { kill: 1 },
		lasts: [0.2, 1],
		moment: `select from orders where saga_state = 'forward'
				and saga_owner like $1 || '%' offset 2 limit 1`,
		// Slow payments keep some sagas in progress at any time.
		tokens: { tok_ok: 80, tok_timeout: 20 },
		actions: { buy: 80, twice: 10, hasty: 10 },
	},
	lateness: {
		about: "stock reservations arrive after their order was cancelled",
		every: [0.5, 1],
		targets: { goods: 1 },
		kinds: { pause: 1 },
		// Shorter than the timeout after which a silent node is disconnected.
		lasts: [1, 2],
		slow: "reserve",
		tokens: { tok_ok: 1 },
		actions: { hasty: 9, buy: 1 },
	},
	large: {
		about: "batches, claims and lists exceed the size of one NATS message",
		every: [1, 2],
		// Orders accumulate while inventory nodes are paused; orders of dead nodes are claimed
		// together.
		targets: { goods: 3, orders: 1 },
		kinds: { pause: 1, kill: 1 },
		lasts: [1, 2],
		large: { lines: 100, description: 5000 },
		tokens: { tok_ok: 1 },
		actions: { pile: 5, browse: 4, cancel: 1 },
	},
	payments: {
		about: "payments through Stripe: 3-D Secure, debits, a misbehaving network, killed nodes",
		every: [0.6, 2.6],
		targets: { orders: 30, money: 30, node: 20, nats: 8, postgres: 12 },
		kinds: { kill: 60, pause: 25, restart: 15 },
		stripe: true,
		tokens: {
			pm_card_visa: 45,
			pm_card_authenticationRequired: 20,
			pm_ideal: 10,
			pm_sepaDebit: 12,
			pm_card_chargeDeclined: 8,
			pm_card_pendingRefund: 5,
		},
		actions: { buy: 60, twice: 10, hasty: 15, cancel: 15 },
	},
	carts: {
		about:
			"checkouts of carts with coupons, while nodes of carts, promotions and orders are killed",
		every: [1.5, 4],
		targets: { orders: 35, goods: 30, money: 30, postgres: 5 },
		kinds: { kill: 75, pause: 20, restart: 5 },
		tokens: { tok_ok: 80, tok_declined: 10, tok_flaky: 6, tok_timeout: 4 },
		actions: { buy: 1 },
		carts: { share: 1, actions: { once: 45, twice: 25, hasty: 22, abandon: 8 } },
		// A checkout whose node died is due for another node after seconds, and then with backoff.
		settleSeconds: 60,
	},
	redemptions: {
		about: "redemptions of coupons arrive after their order was cancelled",
		every: [1, 2],
		targets: { money: 1 },
		kinds: { pause: 1 },
		// Shorter than the timeout after which a silent node is disconnected.
		lasts: [0.5, 1],
		slow: "redeem",
		tokens: { tok_ok: 1 },
		actions: { buy: 1 },
		carts: { share: 1, actions: { hasty: 9, once: 1 } },
	},
} as const satisfies Record<string, Profile>;
export type ProfileName = keyof typeof PROFILES;

/** Deliberate bugs: the violated invariant, and the faults (and moment) that reveal it. */
export const BUGS = {
	tombstone: { breaks: "CANCELLED_BUT_HELD", faults: "lateness" },
	"early-publish": {
		breaks: "EVENT_TWICE",
		faults: "takeover",
		moment: `select from orders o join outbox t on t.subject = o.id::text
			and t.type = 'order.confirmed'
			where o.status = 'pending' and o.saga_owner like $1 || '%' limit 1`,
	},
	lease: { breaks: "SAGA_OPEN", faults: "takeover" },
	"redemption-tombstone": { breaks: "CANCELLED_BUT_REDEEMED", faults: "redemptions" },
	"cart-order": { breaks: "CART_ORDERED_TWICE", faults: "carts" },
} as const satisfies Record<string, { breaks: string; faults: ProfileName; moment?: string }>;
export type Bug = keyof typeof BUGS;

/** The selected profile; by default the one that reveals the bug. */
export function profileOf(faults: ProfileName | undefined, bug: Bug | undefined): Profile {
	if (!bug || faults) return PROFILES[faults ?? "all"];
	return { ...PROFILES[BUGS[bug].faults], ...BUGS[bug] };
}
