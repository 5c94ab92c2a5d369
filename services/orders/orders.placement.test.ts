import { beforeEach, describe, expect, test } from "@jest/globals";
import { v7 as uuid } from "uuid";
import { type Rejection, reject } from "../../lib/async/micro-batch.ts";
import { done, type Outcome } from "../../lib/contracts/outcome.ts";
import { eventually } from "../../test/support/eventually.ts";
import { createOrderPlacement, type OrderRequest, type PricedRequest } from "./orders.placement.ts";
import type { OrderToPrice } from "./orders.pricing.ts";
import type { PricedOrder } from "./orders.rules.ts";
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

const reserved = Promise.resolve(done);
let lookups: { name: string; ids: string[] }[];
/** Sizes of the inserted batches. */
let batches: number[];
/** Sagas that run until the test ends them. */
let runs: { saga: OrderSaga; first: Promise<Outcome> | undefined; end(): void }[];
/** IDs of the orders whose first step was started, and compensated. */
let started: string[];
let compensated: string[];
let usedKeys: Set<string>;
let failure: Error | undefined;
/** Epoch milliseconds, and the duration of each write. */
let [time, writeMs] = [0, 0];
let existing: Set<string>;
/** Result of pricing with tax, shipping and promotions, and the orders priced so far. */
let pricing: { isConfigured: boolean; price(order: OrderToPrice): PricedOrder | Rejection };
let toPrice: number[];
let place: (request: OrderRequest | PricedRequest) => Promise<unknown>;
beforeEach(() => {
	[lookups, batches, runs, usedKeys, existing, toPrice] = [[], [], [], new Set(), new Set(), []];
	[started, compensated, failure] = [[], [], undefined];
	[time, writeMs] = [0, 0];
	pricing = { isConfigured: false, price: () => priced() };
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
		pricing: {
			isConfigured: async () => pricing.isConfigured,
			async price(batch) {
				toPrice.push(batch.length);
				return batch.map(pricing.price);
			},
		},
		store: {
			async insert(drafts) {
				batches.push(drafts.length);
				time += writeMs;
				if (failure) throw failure;
				const inserted = drafts.filter(
					({ keyed, saga }) => !(keyed && usedKeys.has(keyed.key)) && !existing.has(saga.id),
				);
				return new Set(inserted.map(({ saga }) => saga.id));
			},
		},
		sagas: {
			startFirstStep(saga) {
				started.push(saga.id);
				return reserved;
			},
			async compensateFirstStep({ id }) {
				compensated.push(id);
			},
			run: (saga, first) =>
				new Promise<OrderSagaOutcome>((resolve) => {
					const end = () => resolve({ status: "completed", order: saga.order });
					runs.push({ saga, first, end });
				}),
		},
		metrics: { countPlaced() {} },
		deadlineMs: 1000,
		reservationMs: 900_000,
		now: () => time,
	});
});
const priced = (overrides: Partial<PricedOrder> = {}): PricedOrder => ({
	email: null,
	currency: "EUR",
	prices_include_tax: true,
	lines: [
		{
			product_id: tea,
			name: "Tea",
			quantity: 2,
			unit_price: 5,
			discount: 1,
			tax: 0,
			total: 9,
			tax_rate: null,
		},
	],
	adjustments: [],
	shipping_method: null,
	shipping_amount: 0,
	shipping_discount: 0,
	shipping_tax: 0,
	shipping_tax_rate: null,
	taxes: [],
	subtotal: 10,
	discount_amount: 1,
	tax_amount: 0,
	total_amount: 9,
	shipping_address: null,
	billing_address: null,
	coupon_codes: [],
	...overrides,
});
const cartRequest = (order_id: string, prices = priced()): PricedRequest => ({
	order_id,
	user_id: null,
	payment_token: "tok_ok",
	priced: prices,
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

describe("the stock of an order", () => {
	test("is reserved while the order is written, and its saga takes the result", async () => {
		await Promise.all([place(orderRequest()), place(cartRequest(uuid()))]);
		expect(started).toEqual(runs.map(({ saga }) => saga.id));
		expect(runs.map(({ first }) => first)).toEqual([reserved, reserved]);
		expect(compensated).toEqual([]);
	});

	test("is released if the key of the order is already in use", async () => {
		usedKeys.add("twice");
		await Promise.all([place(withKey("once")), place(withKey("twice"))]);
		expect(compensated).toEqual(started.filter((id) => id !== runs[0]!.saga.id));
		expect(compensated).toHaveLength(1);
	});

	test("remains reserved if the order exists", async () => {
		const id = uuid();
		existing.add(id);
		expect(await place(cartRequest(id))).toBeUndefined();
		failure = new Error("violates a check constraint");
		await expect(place(cartRequest(id))).rejects.toThrow();
		expect([started, compensated]).toEqual([[id, id], []]);
	});

	test.each([
		[449_999, reserved],
		[450_000, undefined],
		[-1, undefined],
	])("whose order was written after %d ms has the result %p", async (duration, result) => {
		writeMs = duration;
		await place(orderRequest());
		expect(runs.map(({ first }) => first)).toEqual([result]);
	});

	test("is released after a failed write, and the next order is written first", async () => {
		failure = new Error("violates a check constraint");
		await expect(place(orderRequest())).rejects.toThrow(failure);
		expect(compensated).toEqual(started);
		await expect(place(orderRequest())).rejects.toThrow(failure);
		failure = undefined;
		await place(orderRequest());
		expect([started.length, runs[0]!.first]).toEqual([1, undefined]);
		runs[0]!.end();
		await place(orderRequest());
		expect([started.length, runs[1]!.first]).toEqual([2, reserved]);
	});

	test("is not released after an outage, in which the order may have been written", async () => {
		failure = Object.assign(new Error("terminating connection"), { code: "57P01" });
		await expect(place(orderRequest())).rejects.toThrow(failure);
		expect([started.length, compensated]).toEqual([1, []]);
	});
});

describe("with tax, shipping methods or promotions", () => {
	test("valid orders are priced together, and each fails alone", async () => {
		pricing.isConfigured = true;
		let n = 0;
		pricing.price = () => (n++ === 1 ? reject(new Error("Undeliverable")) : priced());
		const results = await Promise.allSettled([
			place(orderRequest()),
			place(orderRequest()),
			place(orderRequest({ items: [{ product_id: unknown, quantity: 1 }] })),
			place(orderRequest()),
		]);
		expect(results.map(({ status }) => status)).toEqual([
			"fulfilled",
			"rejected",
			"rejected",
			"fulfilled",
		]);
		expect([toPrice, batches]).toEqual([[3], [2]]);
		expect(runs[0]!.saga).toMatchObject({
			order: { total_amount: 9, items: [{ unit_price: 5, line_total: 10, discount: 1, total: 9 }] },
			priced: { subtotal: 10, discount_amount: 1 },
		});
	});

	test("an order that a service refuses to price does not affect the others", async () => {
		pricing.isConfigured = true;
		const refused = orderRequest({ shipping_method: "refused" });
		pricing.price = ({ request }) => {
			if (request.shipping_method === "refused") throw new Error("VALIDATION_ERROR");
			return priced();
		};
		const results = await Promise.allSettled(
			[orderRequest(), refused, orderRequest(), orderRequest()].map(place),
		);
		expect(results.map(({ status }) => status)).toEqual([
			"fulfilled",
			"rejected",
			"fulfilled",
			"fulfilled",
		]);
		expect(runs).toHaveLength(3);
	});

	test("otherwise only orders with a structured address or a method are priced", async () => {
		const address = {
			name: "Jo",
			line1: "Way 1",
			postal_code: "10115",
			city: "Berlin",
			country: "DE",
		};
		await Promise.all([
			place(orderRequest()),
			place(orderRequest({ shipping_address: "Berlin" })),
			place(orderRequest({ shipping_address: address })),
			place(orderRequest({ shipping_method: "express" })),
		]);
		expect(toPrice).toEqual([2]);
		expect(runs.map(({ saga }) => saga.shipping_address)).toEqual([
			null,
			"Berlin",
			"Jo\nWay 1\n10115 Berlin\nGermany",
			null,
		]);
		expect(runs.map(({ saga }) => saga.priced === null)).toEqual([true, true, false, false]);
	});
});

describe("the order of a cart", () => {
	test("is placed in the batch at its own prices, without a lookup", async () => {
		const id = uuid();
		await Promise.all([
			place(cartRequest(id, priced({ email: " Jo@Example.COM " }))),
			place(cartRequest(uuid())),
		]);
		expect(lookups).toEqual([]);
		expect(runs[0]!.saga).toMatchObject({
			id,
			order: { id, user_id: null, email: "jo@example.com", total_amount: 9 },
		});
		await Promise.all([place(cartRequest(uuid())), place(orderRequest())]);
		expect(batches).toEqual([2, 2]);
	});

	test("is placed once, however often it is requested", async () => {
		const [id, earlier] = [uuid(), uuid()];
		existing.add(earlier);
		const results = await Promise.all(
			[id, earlier, id, id].map((order_id) => place(cartRequest(order_id))),
		);
		expect(results.map((placed) => placed !== undefined)).toEqual([true, false, false, false]);
		expect(batches).toEqual([2]);
		expect(runs.map(({ saga }) => saga.id)).toEqual([id]);
	});
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
