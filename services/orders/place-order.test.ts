import { beforeEach, expect, test } from "@jest/globals";
import { v7 as uuid } from "uuid";
import { eventually } from "../../test/support/eventually.ts";
import { createOrderPlacement, type OrderRequest } from "./place-order.ts";
import type { OrderSaga } from "./saga/steps.ts";
import type { OrderSagaOutcome } from "./saga/store.ts";

const [buyer, otherUser, tea, unknown, parent] = [uuid(), uuid(), uuid(), uuid(), uuid()];
const user = { id: buyer, is_active: true };
const product = { id: tea, name: "Tea", price: 5, currency: "EUR" };
const orderRequest = (over: Partial<OrderRequest> = {}): OrderRequest => ({
	user_id: buyer,
	items: [{ product_id: tea, quantity: 1 }],
	payment_token: "tok_ok",
	keyed: undefined,
	...over,
});

let lookups: { name: string; ids: string[] }[];
/** Sizes of the inserted batches. */
let batches: number[];
/** Sagas that run until the test ends them. */
let runs: { saga: OrderSaga; end(): void }[];
let usedKeys: Set<string>;
let place: (request: OrderRequest) => Promise<unknown>;
beforeEach(() => {
	[lookups, batches, runs, usedKeys] = [[], [], [], new Set()];
	const rows = new Map<string, object>([
		[buyer, user],
		[tea, product],
		[parent, { ...product, id: parent, variant_count: 2 }],
	]);
	const lookup = (name: string) => async (ids: string[]) => {
		lookups.push({ name, ids });
		return ids.map((id) => (rows.get(id) ?? null) as never);
	};
	place = createOrderPlacement({
		lookup: { users: lookup("users"), products: lookup("products") },
		store: {
			async insert(drafts) {
				batches.push(drafts.length);
				const inserted = drafts.filter(({ keyed }) => !keyed || !usedKeys.has(keyed.key));
				return new Set(inserted.map(({ saga }) => saga.id));
			},
		},
		sagas: {
			run: (saga) =>
				new Promise<OrderSagaOutcome>((resolve) => {
					const end = () => resolve({ status: "completed", order: saga.order });
					runs.push({ saga, end });
				}),
		},
		metrics: { countPlaced() {} },
		deadlineMs: 1000,
	});
});
const withKey = (key: string) =>
	orderRequest({ keyed: { user_id: buyer, action: "orders.create", key, hash: "" } });

test("concurrent requests form one batch, which looks up each user and product once", async () => {
	await Promise.all([place(orderRequest()), place(orderRequest()), place(orderRequest())]);
	expect(batches).toEqual([3]);
	expect(lookups).toEqual([
		{ name: "users", ids: [buyer] },
		{ name: "products", ids: [tea] },
	]);
	expect(new Set(runs.map(({ saga }) => saga.id)).size).toBe(3);
});

test("an invalid request fails alone and is not written", async () => {
	const results = await Promise.allSettled([
		place(orderRequest()),
		place(orderRequest({ items: [{ product_id: unknown, quantity: 1 }] })),
		place(orderRequest({ user_id: otherUser })),
		place(orderRequest()),
	]);
	expect(results.map(({ status }) => status)).toEqual([
		"fulfilled",
		"rejected",
		"rejected",
		"fulfilled",
	]);
	expect(
		results.flatMap((result) => (result.status === "rejected" ? [result.reason.type] : [])),
	).toEqual(["PRODUCT_NOT_FOUND", "USER_NOT_FOUND"]);
	expect(batches).toEqual([2]);
});

test("an order of a product with variants is rejected", async () => {
	await expect(
		place(orderRequest({ items: [{ product_id: parent, quantity: 1 }] })),
	).rejects.toMatchObject({ type: "CHOOSE_VARIANT", data: { product_id: parent } });
	expect(batches).toEqual([]);
});

test("a request whose key is already in use has neither an order nor a saga", async () => {
	usedKeys.add("twice");
	const [first, second] = await Promise.all([place(withKey("once")), place(withKey("twice"))]);
	expect(first).toMatchObject({ saga: { direction: "forward", attempt: 1 } });
	expect(second).toBeUndefined();
	expect(runs).toHaveLength(1);
});

test("requests during a batch form the next one, which starts when the sagas end", async () => {
	await Promise.all([place(orderRequest()), place(orderRequest())]);
	const rest = Promise.all([place(orderRequest()), place(orderRequest()), place(orderRequest())]);
	await new Promise(setImmediate);
	expect(batches).toEqual([2]);
	for (const { end } of runs) end();
	await rest;
	expect(batches).toEqual([2, 3]);
});

test("a slow saga delays the next batch only up to the limit", async () => {
	await Promise.all([place(orderRequest()), place(orderRequest())]);
	const next = place(orderRequest());
	await eventually(() => expect(batches).toEqual([2, 1]));
	await next;
	expect(runs).toHaveLength(3);
});
