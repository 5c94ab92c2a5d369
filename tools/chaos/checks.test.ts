import { expect, test } from "@jest/globals";
import type { Purchase } from "./buyers.ts";
import { check, crashes } from "./checks.ts";
import type { Response } from "./client.ts";
import { plan } from "./faults.ts";
import { PROFILES, type Profile } from "./profiles.ts";
import { checkThefts } from "./thieves.ts";

const order = (over: object = {}) => ({
	id: "order",
	user_id: "buyer",
	status: "confirmed",
	saga_state: null,
	cancellation_reason: null,
	...over,
});
const purchase = (over: Partial<Purchase> = {}): Purchase => ({
	user_id: "buyer",
	key: "key",
	answers: [{ status: 201, body: { id: "order", status: "confirmed" } }],
	order_id: "order",
	promised: new Set(),
	...over,
});
const answer = (status: number, body: object): Response => ({ status, body });

/** What is found where the databases hold this. */
async function found(
	purchases: Purchase[],
	orders: object[],
	{ sold = 0, dead = [] as object[], books = [] as object[] } = {},
) {
	const query = async (_service: string, text: string) => {
		if (text.includes("sum(quantity)")) return [{ product_id: "tea", quantity: sold }];
		if (text.includes("from orders")) return orders;
		if (text.includes("ledger_charges")) return books;
		return text.includes("dead_at") ? dead : [];
	};
	return (await check({ query: query as never }, purchases, new Map([["tea", 5]]))).map(
		({ invariant }) => invariant,
	);
}

test("orders that are as their buyers were told are all right", async () => {
	expect(await found([purchase()], [order()], { sold: 5 })).toEqual([]);
	const refused = answer(409, { code: "OUT_OF_STOCK", order_id: "order" });
	expect(
		await found([purchase({ answers: [refused, refused] })], [order({ status: "cancelled" })]),
	).toEqual([]);
	expect(await found([purchase({ cancelTried: true })], [order({ status: "cancelled" })])).toEqual(
		[],
	);
	// Nobody was told of it, and somebody waits in vain for an answer.
	expect(
		await found([{ user_id: "buyer", key: "key", answers: [], promised: new Set() }], [order()]),
	).toEqual([]);
});

test.each<[string, Purchase[], object[]]>([
	["ACKNOWLEDGED_ORDER_LOST", [purchase()], []],
	["CONFIRMED_ORDER_CANCELLED", [purchase()], [order({ status: "cancelled" })]],
	[
		"REFUSED_ORDER_ALIVE",
		[purchase({ answers: [answer(402, { code: "PAYMENT_DECLINED", order_id: "order" })] })],
		[order()],
	],
	["PROMISE_BROKEN", [purchase({ promised: new Set(["cancel"] as const) })], [order()]],
	[
		"PROMISE_BROKEN",
		[purchase({ promised: new Set(["ship", "deliver"] as const) })],
		[order({ status: "shipped" })],
	],
	["SAGA_OPEN", [purchase()], [order({ saga_state: "stuck" })]],
	["MORE_ORDERS_THAN_REQUESTS", [purchase()], [order(), order({ id: "another" })]],
	["ONE_ORDER_FOR_TWO_KEYS", [purchase(), purchase({ key: "another" })], [order()]],
	[
		"TWO_ORDERS_FOR_ONE_KEY",
		[purchase({ answers: [answer(201, { id: "order" }), answer(201, { id: "another" })] })],
		[order()],
	],
])("%s is found", async (invariant, purchases, orders) => {
	expect(await found(purchases, orders)).toEqual([invariant]);
});

test("what was oversold and what was given up is found", async () => {
	expect(await found([], [], { sold: 6 })).toEqual(["OVERSOLD"]);
	expect(await found([], [], { dead: [{ event_id: "event" }] })).toEqual([
		"DEAD_LETTER",
		"DEAD_LETTER",
		"DEAD_LETTER",
	]);
});

test("a node that crashed is found, and one that was killed is not", () => {
	const node = (name: string, text: string, kind: "node" | "nats" = "node") => ({
		name,
		kind,
		log: () => text,
	});
	const crashed = `started\n{"level":60,"msg":"It failed unexpectedly and ends"}\nstarted`;
	const found = crashes([
		node("orders-1", crashed),
		node("orders-2", "started\nstarted"),
		node("nats", crashed, "nats"),
	]);
	expect(found).toMatchObject([
		{
			invariant: "NODE_CRASHED",
			subject: "orders-1",
			detail: expect.stringContaining("It failed"),
		},
	]);
});

test("money that the provider holds for nothing is found", async () => {
	const books = [{ key: "order", authorized: 0, held: 10 }];
	expect(await found([purchase()], [order()], { books })).toEqual([]);
	const cancelled = purchase({ answers: [], cancelTried: true });
	expect(await found([cancelled], [order({ status: "cancelled" })], { books })).toEqual([
		"MONEY_KEPT",
	]);
	expect(
		await found([purchase()], [order()], {
			books: [...books, { key: "again", authorized: 0, held: 10 }],
		}),
	).toEqual(["MONEY_KEPT"]);
	expect(
		await found([purchase()], [order()], { books: [{ key: "order", authorized: 10, held: 0 }] }),
	).toEqual(["AUTHORIZATION_OPEN"]);
});

const members = [
	...["orders-1", "orders-2", "goods-1", "edge-1"].map((name) => ({ name, kind: "node" as const })),
	...(["nats", "redis", "postgres"] as const).map((kind) => ({ name: kind, kind })),
];

test("the same seed plans the same faults, another one others", () => {
	const { all } = PROFILES;
	expect(plan(7, 60, members, all)).toEqual(plan(7, 60, members, all));
	expect(plan(7, 60, members, all)).not.toEqual(plan(8, 60, members, all));
	expect(
		new Set(plan(7, 600, members, all).map(({ target, kind }) => `${kind} ${target}`)).size,
	).toBe(3 * members.length);
});

test("a profile's faults are of its kinds, and happen to its targets", () => {
	const planned = (profile: Profile) =>
		new Set(plan(7, 60, members, profile).map(({ target, kind }) => `${kind} ${target}`));
	expect(planned(PROFILES.takeover)).toEqual(new Set(["kill orders-1", "kill orders-2"]));
	expect(planned(PROFILES.lateness)).toEqual(new Set(["pause goods-1"]));
});

test("a stolen session that outlives a password change is found, and so is an owner's session that does not", async () => {
	const theft = {
		user_id: "victim",
		kept: "kept",
		stolen: ["first", "second"],
		refresh_token: "refresh",
	};
	const found = async (accepted: string[]) =>
		(
			await checkThefts(
				{
					statuses: async (token) =>
						[accepted.includes(token) ? 200 : 401, 401].slice(0, token === "kept" ? 1 : 2),
					refresh: async (token) => (accepted.includes(token) ? 200 : 401),
				},
				[theft],
			)
		).map(({ invariant }) => invariant);
	expect(await found(["kept"])).toEqual([]);
	expect(await found(["kept", "second"])).toEqual(["STOLEN_SESSION_ALIVE"]);
	expect(await found(["kept", "refresh"])).toEqual(["STOLEN_SESSION_ALIVE"]);
	expect(await found([])).toEqual(["OWN_SESSION_ENDED"]);
});
