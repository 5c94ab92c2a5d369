import { beforeEach, expect, test } from "@jest/globals";
import { v7 as uuid } from "uuid";
import type { SagaOutcome } from "../../lib/saga/saga.ts";
import { eventually } from "../../test/support/eventually.ts";
import { createOrderPlacement, type OrderRequest } from "./place-order.ts";
import type { OrderSaga } from "./saga/steps.ts";

const [buyer, stranger, tea, unknown] = [uuid(), uuid(), uuid(), uuid()];
const user = { id: buyer, is_active: true };
const product = { id: tea, name: "Tea", price: 5, currency: "EUR" };
const wish = (over: Partial<OrderRequest> = {}): OrderRequest => ({
	user_id: buyer,
	items: [{ product_id: tea, quantity: 1 }],
	payment_token: "tok_ok",
	request: undefined,
	...over,
});

/** What was asked of the neighbours, what was written together, and the sagas that run until the test ends them. */
let asked: { name: string; ids: string[] }[];
let groups: number[];
let runs: { saga: OrderSaga; end(): void }[];
let taken: Set<string>;
let place: (wish: OrderRequest) => Promise<unknown>;
beforeEach(() => {
	[asked, groups, runs, taken] = [[], [], [], new Set()];
	const known = new Map<string, object>([
		[buyer, user],
		[tea, product],
	]);
	const lookUp = (name: string) => async (ids: string[]) => {
		asked.push({ name, ids });
		return ids.map((id) => (known.get(id) ?? null) as never);
	};
	place = createOrderPlacement({
		users: lookUp("users"),
		products: lookUp("products"),
		deadlineMs: 1000,
		async write(wanted) {
			groups.push(wanted.length);
			return wanted.map(({ request }) => !request || !taken.has(request.key));
		},
		run: (saga) =>
			new Promise<SagaOutcome>((resolve) =>
				runs.push({ saga, end: () => resolve({ status: "completed" }) }),
			),
	});
});
const keyed = (key: string) =>
	wish({ request: { user_id: buyer, action: "orders.create", key, hash: "" } });

test("wishes that arrive together are one group, which asks for each buyer and product once", async () => {
	await Promise.all([place(wish()), place(wish()), place(wish())]);
	expect(groups).toEqual([3]);
	expect(asked).toEqual([
		{ name: "users", ids: [buyer] },
		{ name: "products", ids: [tea] },
	]);
	expect(new Set(runs.map(({ saga }) => saga.id)).size).toBe(3);
});

test("a wish that cannot be granted fails by itself, and is not written", async () => {
	const results = await Promise.allSettled([
		place(wish()),
		place(wish({ items: [{ product_id: unknown, quantity: 1 }] })),
		place(wish({ user_id: stranger })),
		place(wish()),
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
	expect(groups).toEqual([2]);
});

test("where a key was taken there is no order and no saga", async () => {
	taken.add("twice");
	const [first, second] = await Promise.all([place(keyed("once")), place(keyed("twice"))]);
	expect(first).toMatchObject({ saga: { direction: "forward", attempt: 1 } });
	expect(second).toBeUndefined();
	expect(runs).toHaveLength(1);
});

test("what arrives while a group is on its way is the next group, as soon as that one has ended", async () => {
	await Promise.all([place(wish()), place(wish())]);
	const rest = Promise.all([place(wish()), place(wish()), place(wish())]);
	await new Promise(setImmediate);
	expect(groups).toEqual([2]);
	for (const { end } of runs) end();
	await rest;
	expect(groups).toEqual([2, 3]);
});

test("a saga that takes long does not hold up the next group for long", async () => {
	await Promise.all([place(wish()), place(wish())]);
	const next = place(wish());
	await eventually(() => expect(groups).toEqual([2, 1]));
	await next;
	expect(runs).toHaveLength(3);
});
