import { expect, test } from "@jest/globals";
import { allocate, type Limits, mergeUses } from "./promotions.allocation.rules.ts";

const promotion = (id: string, over: Partial<Limits> = {}): Limits => ({
	id,
	code: null,
	used: 0,
	spent: 0,
	usage_limit: null,
	customer_limit: null,
	budget: null,
	is_deleted: false,
	...over,
});
const request = (order_id: string, uses: Record<string, number>, customer = order_id) => ({
	order_id,
	customer,
	uses: Object.entries(uses).map(([promotion_id, amount]) => ({ promotion_id, amount })),
});
const granted = (...args: Parameters<typeof allocate>) =>
	allocate(...args).granted.map(({ order_id }) => order_id);

test("mergeUses sums the discounts of a promotion exactly", () => {
	const uses = [...request("", { a: 0.1, b: 1 }).uses, ...request("", { a: 0.2 }).uses];
	expect(mergeUses(uses)).toEqual(request("", { a: 0.3, b: 1 }).uses);
});

test("allocate grants requests in order and skips one that does not fit", () => {
	const limited = [promotion("a", { usage_limit: 3, used: 1 }), promotion("b", { usage_limit: 1 })];
	const requests = [
		request("1", { a: 1, b: 1 }),
		request("2", { a: 1, b: 1 }),
		request("3", { a: 1 }),
		request("4", { a: 1 }),
	];
	const { refused, exceeded } = allocate(requests, limited, []);
	expect(granted(requests, limited, [])).toEqual(["1", "3"]);
	expect([...refused]).toEqual([
		["2", { promotion_id: "b", code: null }],
		["4", { promotion_id: "a", code: null }],
	]);
	expect([...exceeded]).toEqual([]);
});

test("allocate spends a budget exactly, and reports a discount that exceeds it", () => {
	const limited = [promotion("a", { code: "TEN", budget: 1, spent: 0.4 })];
	const requests = [0.1, 0.2, 0.31, 0.3, 0].map((a, i) => request(`${i}`, { a }));
	const { refused, exceeded } = allocate(requests, limited, []);
	expect(granted(requests, limited, [])).toEqual(["0", "1", "3", "4"]);
	expect([...refused]).toEqual([["2", { promotion_id: "a", code: "TEN" }]]);
	expect([...exceeded]).toEqual(["a"]);
});

test("allocate does not report a discount that exceeds the whole budget", () => {
	const { refused, exceeded } = allocate(
		[request("1", { a: 1.01 })],
		[promotion("a", { budget: 1, spent: 0.4 })],
		[],
	);
	expect([[...refused.keys()], [...exceeded]]).toEqual([["1"], []]);
});

test("allocate counts the uses of each customer", () => {
	const limited = [promotion("a", { customer_limit: 2 }), promotion("b")];
	const requests = [
		request("1", { a: 1 }, "x"),
		request("2", { a: 1 }, "x"),
		request("3", { b: 1 }, "x"),
		request("4", { a: 1 }, "y"),
	];
	const uses = [
		{ promotion_id: "a", customer: "x", used: 1 },
		{ promotion_id: "b", customer: "x", used: 9 },
	];
	expect(granted(requests, limited, uses)).toEqual(["1", "3", "4"]);
});

test("allocate refuses unknown and deleted promotions, and those above a lowered limit", () => {
	const limited = [
		promotion("a", { is_deleted: true, code: "TEN", budget: 1 }),
		promotion("b", { usage_limit: 1, used: 3 }),
		promotion("c", { budget: 1, spent: 3 }),
	];
	const requests = ["a", "b", "c", "d"].map((id) => request(id, { [id]: 1 }));
	const { refused, exceeded } = allocate(requests, limited, []);
	expect(Object.fromEntries(refused)).toEqual({
		a: { promotion_id: "a", code: "TEN" },
		b: { promotion_id: "b", code: null },
		c: { promotion_id: "c", code: null },
		d: { promotion_id: "d", code: null },
	});
	expect([...exceeded]).toEqual(["c"]);
});
