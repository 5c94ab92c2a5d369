import { expect, test } from "@jest/globals";
import { allocate, mergeLines } from "./inventory.rules.ts";

const wish = (order_id: string, items: Record<string, number>) => ({
	order_id,
	items: Object.entries(items).map(([product_id, quantity]) => ({ product_id, quantity })),
});

test("the same product twice is one line with the sum", () => {
	expect(mergeLines([...wish("", { a: 2, b: 1 }).items, ...wish("", { a: 3 }).items])).toEqual(
		wish("", { a: 5, b: 1 }).items,
	);
});

test("who comes first is served first, and an order that does not fit leaves its lines to those behind it", () => {
	const wishes = [
		wish("1", { a: 2 }),
		wish("2", { b: 1, a: 2 }),
		wish("3", { b: 1 }),
		wish("4", { a: 1 }),
	];
	const { granted, short } = allocate(
		wishes,
		new Map([
			["a", 3],
			["b", 1],
		]),
	);
	expect(granted.map(({ order_id }) => order_id)).toEqual(["1", "3", "4"]);
	expect([...short]).toEqual([["2", { product_id: "a", available: 1 }]]);
});

test("of an unknown product there is nothing", () => {
	expect(allocate([wish("1", { a: 1 })], new Map())).toEqual({
		granted: [],
		short: new Map([["1", { product_id: "a", available: 0 }]]),
	});
});
