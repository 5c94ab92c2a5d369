import { expect, test } from "@jest/globals";
import { allocate, mergeLines } from "./inventory.rules.ts";

const request = (order_id: string, items: Record<string, number>) => ({
	order_id,
	items: Object.entries(items).map(([product_id, quantity]) => ({ product_id, quantity })),
});

test("mergeLines sums the lines of a product", () => {
	expect(
		mergeLines([...request("", { a: 2, b: 1 }).items, ...request("", { a: 3 }).items]),
	).toEqual(request("", { a: 5, b: 1 }).items);
});

test("allocate grants requests in order and skips one that does not fit", () => {
	const requests = [
		request("1", { a: 2 }),
		request("2", { b: 1, a: 2 }),
		request("3", { b: 1 }),
		request("4", { a: 1 }),
	];
	const { granted, short } = allocate(
		requests,
		new Map([
			["a", 3],
			["b", 1],
		]),
	);
	expect(granted.map(({ order_id }) => order_id)).toEqual(["1", "3", "4"]);
	expect([...short]).toEqual([["2", { product_id: "a", available: 1 }]]);
});

test("allocate treats an unknown product as out of stock", () => {
	expect(allocate([request("1", { a: 1 })], new Map())).toEqual({
		granted: [],
		short: new Map([["1", { product_id: "a", available: 0 }]]),
	});
});
