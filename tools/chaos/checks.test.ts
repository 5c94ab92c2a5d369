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
	responses: [{ status: 201, body: { id: "order", status: "confirmed" } }],
	order_id: "order",
	acknowledged: new Set(),
	...over,
});
const response = (status: number, body: object): Response => ({ status, body });

/** Names of the violations for these rows. */
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
	return (await check({ query: query as never }, purchases, [], new Map([["tea", 5]]))).map(
		({ invariant }) => invariant,
	);
}

test("check accepts orders that match the responses to their buyers", async () => {
	expect(await found([purchase()], [order()], { sold: 5 })).toEqual([]);
	const refused = response(409, { code: "OUT_OF_STOCK", order_id: "order" });
	expect(
		await found([purchase({ responses: [refused, refused] })], [order({ status: "cancelled" })]),
	).toEqual([]);
	expect(
		await found([purchase({ cancelRequested: true })], [order({ status: "cancelled" })]),
	).toEqual([]);
	// An order without a response is allowed for a request without a response.
	expect(
		await found(
			[{ user_id: "buyer", key: "key", responses: [], acknowledged: new Set() }],
			[order()],
		),
	).toEqual([]);
});

test.each<[string, Purchase[], object[]]>([
	["ACKNOWLEDGED_ORDER_LOST", [purchase()], []],
	["CONFIRMED_ORDER_CANCELLED", [purchase()], [order({ status: "cancelled" })]],
	[
		"REFUSED_ORDER_ALIVE",
		[purchase({ responses: [response(402, { code: "PAYMENT_DECLINED", order_id: "order" })] })],
		[order()],
	],
	["PROMISE_BROKEN", [purchase({ acknowledged: new Set(["cancel"] as const) })], [order()]],
	[
		"PROMISE_BROKEN",
		[purchase({ acknowledged: new Set(["ship", "deliver"] as const) })],
		[order({ status: "shipped" })],
	],
	["SAGA_OPEN", [purchase()], [order({ saga_state: "stuck" })]],
	["MORE_ORDERS_THAN_REQUESTS", [purchase()], [order(), order({ id: "another" })]],
	["ONE_ORDER_FOR_TWO_KEYS", [purchase(), purchase({ key: "another" })], [order()]],
	[
		"TWO_ORDERS_FOR_ONE_KEY",
		[purchase({ responses: [response(201, { id: "order" }), response(201, { id: "another" })] })],
		[order()],
	],
])("check reports %s", async (invariant, purchases, orders) => {
	expect(await found(purchases, orders)).toEqual([invariant]);
});

test("check reports oversold products and dead letters", async () => {
	expect(await found([], [], { sold: 6 })).toEqual(["OVERSOLD"]);
	expect(await found([], [], { dead: [{ event_id: "event" }] })).toEqual([
		"DEAD_LETTER",
		"DEAD_LETTER",
		"DEAD_LETTER",
		"DEAD_LETTER",
	]);
});

test("crashes reports nodes with an uncaught error only", () => {
	const node = (name: string, text: string, kind: "node" | "nats" = "node") => ({
		name,
		kind,
		log: () => text,
	});
	const crashed = `started\n{"level":60,"msg":"Unexpected failure; the process ends"}\nstarted`;
	const found = crashes([
		node("orders-1", crashed),
		node("orders-2", "started\nstarted"),
		node("nats", crashed, "nats"),
	]);
	expect(found).toMatchObject([
		{
			invariant: "NODE_CRASHED",
			subject: "orders-1",
			detail: expect.stringContaining("Unexpected failure"),
		},
	]);
});

test("check reports money that the provider holds without an order", async () => {
	const books = [{ key: "order", authorized: 0, held: 10 }];
	expect(await found([purchase()], [order()], { books })).toEqual([]);
	const cancelled = purchase({ responses: [], cancelRequested: true });
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

test("plan is deterministic per seed", () => {
	const { all } = PROFILES;
	expect(plan(7, 60, members, all)).toEqual(plan(7, 60, members, all));
	expect(plan(7, 60, members, all)).not.toEqual(plan(8, 60, members, all));
	expect(
		new Set(plan(7, 600, members, all).map(({ target, kind }) => `${kind} ${target}`)).size,
	).toBe(3 * members.length);
});

test("plan uses the kinds and targets of the profile", () => {
	const planned = (profile: Profile) =>
		new Set(plan(7, 60, members, profile).map(({ target, kind }) => `${kind} ${target}`));
	expect(planned(PROFILES.takeover)).toEqual(new Set(["kill orders-1", "kill orders-2"]));
	expect(planned(PROFILES.lateness)).toEqual(new Set(["pause goods-1"]));
});

test("checkThefts reports stolen sessions that survive, and own sessions that do not", async () => {
	const theft = {
		user_id: "victim",
		valid: "kept",
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
