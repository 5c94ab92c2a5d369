import { expect, test } from "@jest/globals";
import fc from "fast-check";
import { digitsOf, maxMinorUnits } from "../../lib/money/currency.ts";
import { orders } from "./orders.contract.ts";
import {
	assertCanBecome,
	assertVisible,
	buyerOf,
	cancelledError,
	mergeItems,
	priceItems,
	statusesBefore,
	transitions,
} from "./orders.rules.ts";

const caught = (
	work: () => unknown,
): { code: number; type: string; data: Record<string, unknown> } => {
	try {
		work();
	} catch (error) {
		return error as ReturnType<typeof caught>;
	}
	throw new Error("No error was thrown");
};
const product = (price: number, over: object = {}) => ({
	id: "p",
	name: "Tea",
	price,
	currency: "EUR",
	...over,
});

test("statusesBefore returns all statuses from which another can still be reached", () => {
	expect(statusesBefore("shipped")).toEqual(["pending", "confirmed"]);
	expect(statusesBefore("delivered")).toEqual(["pending", "confirmed", "shipped"]);
	expect(statusesBefore("pending")).toEqual([]);
});

test("allows exactly the transitions of the table", () => {
	const allowed = [
		"pending confirmed",
		"pending cancelled",
		"confirmed shipped",
		"confirmed cancelled",
		"shipped delivered",
	];
	const statuses = orders.actions.create.returns.props.status.values;
	expect(Object.keys(transitions).sort()).toEqual([...statuses].sort());
	for (const from of statuses) {
		for (const to of statuses) {
			const become = () => assertCanBecome(from, to);
			if (allowed.includes(`${from} ${to}`)) expect(become).not.toThrow();
			else
				expect(caught(become)).toMatchObject({
					code: 409,
					type: "ILLEGAL_TRANSITION",
					data: { status: from },
				});
		}
	}
});

test("only an admin can order for another user", () => {
	expect(buyerOf({ id: "me", role: "user" })).toBe("me");
	expect(buyerOf({ id: "me", role: "user" }, "me")).toBe("me");
	expect(buyerOf({ id: "me", role: "admin" }, "you")).toBe("you");
	expect(caught(() => buyerOf({ id: "me", role: "user" }, "you"))).toMatchObject({
		code: 403,
		type: "FORBIDDEN",
	});
});

test("another user's order is reported as not found", () => {
	const order = { user_id: "me" };
	const hidden = { code: 404, type: "ORDER_NOT_FOUND" };
	expect(() => assertVisible(order, { id: "me", role: "user" })).not.toThrow();
	expect(() => assertVisible(order, { id: "you", role: "admin" })).not.toThrow();
	expect(caught(() => assertVisible(order, { id: "you", role: "user" }))).toMatchObject(hidden);
	expect(caught(() => assertVisible(undefined, { id: "me", role: "user" }))).toEqual(
		expect.objectContaining(caught(() => assertVisible(order, { id: "you", role: "user" }))),
	);
	expect(caught(() => assertVisible(undefined, { id: "you", role: "admin" }))).toMatchObject(
		hidden,
	);
});

const itemLists = fc.array(
	fc.record({
		product_id: fc.constantFrom("a", "b", "c", "d"),
		quantity: fc.integer({ min: 1, max: 10 }),
	}),
	{
		minLength: 1,
		maxLength: 100,
	},
);
const sumOf = (items: readonly { product_id: string; quantity: number }[], id: string) =>
	items
		.filter(({ product_id }) => product_id === id)
		.reduce((sum, { quantity }) => sum + quantity, 0);

test("mergeItems keeps the order and the total quantity of each product", () => {
	fc.assert(
		fc.property(itemLists, (items) => {
			const merged = mergeItems(items);
			const ids = merged.map(({ product_id }) => product_id);
			expect(ids).toEqual([...new Set(items.map(({ product_id }) => product_id))]);
			for (const id of ids) expect(sumOf(merged, id)).toBe(sumOf(items, id));
		}),
	);
});

test("mergeItems limits the total quantity of a product to that of one item", () => {
	const of = (product_id: string, ...quantities: number[]) =>
		quantities.map((quantity) => ({ product_id, quantity }));
	expect(mergeItems([...of("a", 999, 1), ...of("b", 1000)])).toEqual([
		...of("a", 1000),
		...of("b", 1000),
	]);
	const { type, data } = caught(() =>
		mergeItems([...of("b", 1), ...of("a", 999, 1, 1), ...of("b", 2)]),
	);
	expect([type, data.errors]).toEqual([
		"VALIDATION_ERROR",
		[expect.objectContaining({ field: "items[3].quantity", code: "NUMBER_MAX" })],
	]);
	expect(
		caught(() =>
			mergeItems(Array.from({ length: 100 }, () => ({ product_id: "a", quantity: 1000 }))),
		).type,
	).toBe("VALIDATION_ERROR");
});

const currencies = ["JPY", "EUR", "BHD"] as const;
const line = (currency: string) =>
	fc.record({
		// Ordinary prices, and prices near the maximum.
		minor: fc.oneof(
			fc.integer({ min: 0, max: 100_000 }),
			fc.integer({ min: 0, max: maxMinorUnits(currency) }),
		),
		quantity: fc.oneof(fc.integer({ min: 1, max: 5 }), fc.integer({ min: 1, max: 1000 })),
	});
/** The decimal number of an amount in minor units. */
function decimal(minor: bigint, currency: string): string {
	const digits = digitsOf(currency);
	const text = String(minor).padStart(digits + 1, "0");
	return digits === 0 ? text : `${text.slice(0, -digits)}.${text.slice(-digits)}`;
}

test.each(currencies)(
	"totals in %s are exact, and one above the maximum is rejected",
	(currency) => {
		const digits = digitsOf(currency);
		const max = maxMinorUnits(currency);
		let tooLarge = 0;
		const lineLists = fc.array(line(currency), { minLength: 1, maxLength: 20 });
		const property = fc.property(lineLists, (lines) => {
			const items = lines.map(({ quantity }, i) => ({ product_id: `${i}`, quantity }));
			const price = () =>
				priceItems(
					items,
					lines.map(({ minor }) => product(Number(decimal(BigInt(minor), currency)), { currency })),
				);
			const totals = lines.map(({ minor, quantity }) => BigInt(minor) * BigInt(quantity));
			const total = totals.reduce((sum, minor) => sum + minor, 0n);
			if (total > max) {
				tooLarge++;
				return expect(caught(price)).toMatchObject({ code: 409, type: "ORDER_TOO_LARGE" });
			}
			const priced = price();
			expect(priced.items.map(({ line_total }) => line_total.toFixed(digits))).toEqual(
				totals.map((minor) => decimal(minor, currency)),
			);
			// The number survives storage as text.
			expect(priced).toMatchObject({ total_amount: Number(decimal(total, currency)), currency });
		});
		fc.assert(property, {
			numRuns: 500,
			examples: [[[{ minor: max, quantity: 1 }]], [[{ minor: max, quantity: 2 }]]],
		});
		expect(tooLarge).toBeGreaterThan(1);
	},
);

test("a price with more decimals than its currency is charged as it is displayed", () => {
	const items = [{ product_id: "a", quantity: 2 }];
	expect(priceItems(items, [product(1.5, { currency: "JPY" })])).toMatchObject({
		items: [{ unit_price: 2, line_total: 4 }],
		total_amount: 4,
	});
});

test("a line contains the current name and price of its product", () => {
	const items = [{ product_id: "a", quantity: 3 }];
	expect(priceItems(items, [product(0.1)])).toEqual({
		items: [{ product_id: "a", name: "Tea", quantity: 3, unit_price: 0.1, line_total: 0.3 }],
		total_amount: 0.3,
		currency: "EUR",
	});
});

test("priceItems reports all missing products and rejects several currencies", () => {
	const items = ["a", "b", "c"].map((product_id) => ({ product_id, quantity: 1 }));
	expect(caught(() => priceItems(items, [null, product(1), null]))).toMatchObject({
		code: 404,
		type: "PRODUCT_NOT_FOUND",
		data: { product_ids: ["a", "c"] },
	});
	const mixed = [product(1), product(1), product(1, { currency: "USD" })];
	expect(caught(() => priceItems(items, mixed))).toMatchObject({
		code: 409,
		type: "MIXED_CURRENCIES",
	});
});

test("every cancellation reason becomes a 4xx error with the order's ID", () => {
	const items = [{ product_id: "p", name: "Tea", quantity: 5, unit_price: 1, line_total: 5 }];
	const errorOf = (reason: string, detail?: string, data?: object) =>
		cancelledError(
			{ id: "o", items },
			{ reason, ...(detail ? { detail } : {}), ...(data ? { data } : {}) },
		) as unknown as ReturnType<typeof caught>;
	expect(errorOf("PAYMENT_DECLINED", "card declined")).toMatchObject({
		code: 402,
		type: "PAYMENT_DECLINED",
		data: { order_id: "o", reason: "card declined" },
	});
	expect(errorOf("OUT_OF_STOCK")).toMatchObject({
		code: 409,
		type: "OUT_OF_STOCK",
		data: { order_id: "o", reason: "OUT_OF_STOCK" },
	});
	const short = errorOf("OUT_OF_STOCK", "p", { product_id: "p", available: 3 });
	expect(short).toMatchObject({
		code: 409,
		message: 'Not enough stock of "Tea": 5 ordered, 3 available',
	});
	expect(short.data).toEqual({
		order_id: "o",
		reason: "p",
		product_id: "p",
		name: "Tea",
		available: 3,
	});
	fc.assert(
		fc.property(
			fc.oneof(fc.string(), fc.constantFrom("TIMED_OUT", "constructor", "__proto__", "toString")),
			(reason) => {
				expect(errorOf(reason)).toMatchObject({
					code: 409,
					type: "ORDER_CANCELLED",
					data: { order_id: "o", reason },
				});
			},
		),
	);
});
