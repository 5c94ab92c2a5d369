import type { Member } from "./members.ts";

export type FaultKind = "kill" | "pause" | "restart";
/** A kind of member; or, of the nodes, those that run a certain part. */
export type Target = Member["kind"] | "orders" | "goods";
/** How often each is chosen, compared with the others. */
export type Weights<K extends string> = Readonly<Partial<Record<K, number>>>;

/** Which faults happen, and to what kind of business. */
export interface Profile {
	readonly about: string;
	/** Seconds from one fault to the next, at least and at most. */
	readonly every: readonly [number, number];
	readonly targets: Weights<Target>;
	readonly kinds: Weights<FaultKind>;
	/** Seconds until what was hit is put right, where that is not as always. */
	readonly lasts?: readonly [number, number];
	/** A fault waits for its moment: until this statement finds something in the database of orders, where `$1` is the node. */
	readonly moment?: string;
	/** What takes its time on every node, by a file in chaos/slow. */
	readonly slow?: "reserve";
	/** Orders of so many lines, and products with descriptions of so many characters, on a NATS server with the smallest `max_payload`. */
	readonly large?: { readonly lines: number; readonly description: number };
	readonly tokens: Weights<"tok_ok" | "tok_declined" | "tok_flaky" | "tok_timeout" | "tok_slow">;
	/**
	 * Buy; ask twice at once; take it back while it is worked on; take back something bought before; place ten orders without waiting; list products and
	 * orders.
	 */
	readonly wishes: Weights<"buy" | "twice" | "hasty" | "cancel" | "pile" | "browse">;
}

export const PROFILES = {
	all: {
		about: "everything",
		every: [0.6, 2.6],
		// The nodes that run orders have the most to lose.
		targets: { orders: 40, node: 28, nats: 10, redis: 8, postgres: 14 },
		kinds: { kill: 50, pause: 35, restart: 15 },
		tokens: { tok_ok: 76, tok_declined: 8, tok_flaky: 8, tok_timeout: 5, tok_slow: 3 },
		wishes: { buy: 52, twice: 10, hasty: 26, cancel: 12 },
	},
	takeover: {
		about: "nodes die in the middle of orders, which others have to finish",
		every: [0.8, 1.6],
		targets: { orders: 1 },
		kinds: { kill: 1 },
		lasts: [0.2, 1],
		moment:
			"select from orders where saga_state = 'forward' and saga_owner like $1 || '%' offset 2 limit 1",
		// Some orders take their time, so that there are always some in the middle.
		tokens: { tok_ok: 80, tok_timeout: 20 },
		wishes: { buy: 80, twice: 10, hasty: 10 },
	},
	lateness: {
		about: "stock is reserved late, after its order was taken back",
		every: [0.5, 1],
		targets: { goods: 1 },
		kinds: { pause: 1 },
		// Shorter than it takes for a silent node to be given up.
		lasts: [1, 2],
		slow: "reserve",
		tokens: { tok_ok: 1 },
		wishes: { hasty: 9, buy: 1 },
	},
	large: {
		about: "batches, claims and lists are larger than one NATS message",
		every: [1, 2],
		// Orders wait in front of stopped inventory nodes, and those of dead nodes are claimed together.
		targets: { goods: 3, orders: 1 },
		kinds: { pause: 1, kill: 1 },
		lasts: [1, 2],
		large: { lines: 100, description: 5000 },
		tokens: { tok_ok: 1 },
		wishes: { pile: 5, browse: 4, cancel: 1 },
	},
} as const satisfies Record<string, Profile>;
export type ProfileName = keyof typeof PROFILES;

/** A deliberate bug, the invariant that it breaks, the faults that meet it, and the moment in which they do. */
export const BUGS = {
	tombstone: { breaks: "CANCELLED_BUT_HELD", faults: "lateness" },
	"early-publish": {
		breaks: "EVENT_TWICE",
		faults: "takeover",
		moment: `select from orders o join outbox t on t.subject = o.id::text and t.type = 'order.confirmed'
			where o.status = 'pending' and o.saga_owner like $1 || '%' limit 1`,
	},
	lease: { breaks: "SAGA_OPEN", faults: "takeover" },
} as const satisfies Record<string, { breaks: string; faults: ProfileName; moment?: string }>;
export type Bug = keyof typeof BUGS;

/** What a run does, by the profile that was chosen, or else that of its bug. */
export function profileOf(faults: ProfileName | undefined, bug: Bug | undefined): Profile {
	if (!bug || faults) return PROFILES[faults ?? "all"];
	return { ...PROFILES[BUGS[bug].faults], ...BUGS[bug] };
}
