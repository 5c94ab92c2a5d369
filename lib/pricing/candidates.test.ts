import { beforeEach, describe, expect, test } from "@jest/globals";
import { promotionRecord } from "../../test/support/records.ts";
import { findCandidates, isActiveAt } from "./candidates.ts";
import type { PromotionRecord, UseToCount } from "./sources.ts";

const promotion = (id: string, over: Parameters<typeof promotionRecord>[0] = {}) =>
	promotionRecord({ id, name: id, ...over });
const cart = (...coupon_codes: string[]) => ({
	currency: "EUR",
	user_id: "jo" as string | null,
	email: null as string | null,
	coupon_codes,
});

let automatic: PromotionRecord[];
let coded: PromotionRecord[];
let used: Record<string, number>;
let buyers: string[];
let calls: unknown[][];
beforeEach(() => {
	[automatic, coded, used, buyers, calls] = [[], [], {}, [], []];
});
const sources = {
	automatic: async () => automatic,
	async resolve(codes: string[]) {
		calls.push(["resolve", codes]);
		return codes.map((code) => coded.find((one) => one.code?.toLowerCase() === code) ?? null);
	},
	async usage(uses: UseToCount[]) {
		calls.push(["usage", uses]);
		return uses.map(({ customer, promotion_id }) => used[`${promotion_id} ${customer}`] ?? 0);
	},
	async haveOrdered(customers: string[]) {
		calls.push(["haveOrdered", customers]);
		return customers.map((customer) => buyers.includes(customer));
	},
};
const find = async (...carts: ReturnType<typeof cart>[]) =>
	(await findCandidates(sources, carts, 1000)).map(({ promotions, problems, has_ordered }) => ({
		ids: promotions.map(({ id }) => id),
		problems: problems.map(({ code, coupon_code }) => `${code} ${coupon_code}`),
		has_ordered,
	}));

test("carts without coupons and promotions need no call", async () => {
	expect(await find(cart(), cart())).toEqual([
		{ ids: [], problems: [], has_ordered: false },
		{ ids: [], problems: [], has_ordered: false },
	]);
	expect(calls).toEqual([]);
});

test("a code is found in any case and once for all carts", async () => {
	coded = [promotion("a", { code: "Summer" })];
	expect((await find(cart("SUMMER", "summer"), cart("Summer"))).map(({ ids }) => ids)).toEqual([
		["a"],
		["a"],
	]);
	expect(calls).toEqual([["resolve", ["summer"]]]);
});

test("more than 20 codes are divided into several calls", async () => {
	const codes = Array.from({ length: 45 }, (_, i) => `c${i}`);
	coded = codes.map((code) => promotion(code, { code }));
	const carts = Array.from({ length: 9 }, (_, i) => cart(...codes.slice(i * 5, i * 5 + 5)));
	expect((await find(...carts)).flatMap(({ ids }) => ids)).toEqual(codes);
	expect(calls.map(([, part]) => (part as string[]).length)).toEqual([20, 20, 5]);
});

test("reports unknown, inactive, foreign and exhausted codes", async () => {
	coded = [
		promotion("future", { code: "future", starts_at: new Date(1001).toISOString() }),
		promotion("yen", { code: "yen", currency: "JPY", budget: 100 }),
		promotion("gone", { code: "gone", is_exhausted: true }),
	];
	expect(await find(cart("none", "future", "yen", "gone"))).toEqual([
		{
			ids: [],
			problems: [
				"COUPON_UNKNOWN none",
				"COUPON_UNKNOWN future",
				"COUPON_UNKNOWN yen",
				"COUPON_USED_UP gone",
			],
			has_ordered: false,
		},
	]);
});

test("automatic promotions apply while they are active and not exhausted", async () => {
	automatic = [
		promotion("active"),
		promotion("gone", { is_exhausted: true }),
		promotion("yen", { currency: "JPY", effect: { type: "amount_off", value: 100 } }),
		promotion("any", { currency: "JPY" }),
		promotion("past", { ends_at: new Date(1000).toISOString() }),
	];
	expect(await find(cart())).toMatchObject([{ ids: ["active", "any"], problems: [] }]);
});

test("a limit per customer counts the uses of the account or of the guest's address", async () => {
	const limited = { usage_limit_per_customer: 2 };
	coded = [promotion("a", { code: "a", ...limited })];
	automatic = [promotion("b", limited)];
	used = { "a jo": 2, "b jo": 1, "a guest@example.com": 1, "b guest@example.com": 2 };
	const guest = { ...cart("a"), user_id: null, email: "guest@example.com" };
	const unknown = { ...cart("a"), user_id: null };
	expect(await find(cart("a"), guest, unknown)).toEqual([
		{ ids: ["b"], problems: ["COUPON_USED_UP a"], has_ordered: false },
		{ ids: ["a"], problems: [], has_ordered: false },
		{ ids: ["b", "a"], problems: [], has_ordered: false },
	]);
	expect(calls.map(([name]) => name)).toEqual(["resolve", "usage"]);
});

test("a promotion for first orders allows one use, even if no order is known", async () => {
	const first = { conditions: { first_order: true }, usage_limit_per_customer: 5 };
	automatic = [promotion("a", first), promotion("b", { conditions: { first_order: true } })];
	coded = [promotion("c", { code: "c", ...first })];
	used = { "a jo": 1, "b jo": 1, "c jo": 1 };
	expect(await find(cart("c"), { ...cart("c"), user_id: "al" })).toEqual([
		{ ids: [], problems: ["COUPON_USED_UP c"], has_ordered: false },
		{ ids: ["a", "b", "c"], problems: [], has_ordered: false },
	]);
});

test("earlier orders are requested only if a promotion depends on them", async () => {
	automatic = [promotion("first", { conditions: { first_order: true } })];
	buyers = ["jo"];
	const other = { ...cart(), user_id: "al" };
	expect((await find(cart(), other)).map(({ has_ordered }) => has_ordered)).toEqual([true, false]);
	expect(calls.filter(([name]) => name === "haveOrdered")).toEqual([["haveOrdered", ["jo", "al"]]]);
	automatic = [promotion("any")];
	calls = [];
	expect((await find(cart())).map(({ has_ordered }) => has_ordered)).toEqual([false]);
	expect(calls).toEqual([]);
});

test("amounts are converted to minor units of the cart's currency", async () => {
	automatic = [
		promotion("a", {
			currency: "BHD",
			conditions: { min_subtotal: 1.5 },
			effect: { type: "amount_off", value: 0.25 },
			budget: 10,
		}),
	];
	const [found] = await findCandidates(sources, [{ ...cart(), currency: "BHD" }], 1000);
	expect(found!.promotions).toMatchObject([
		{
			conditions: { min_subtotal: 1500 },
			effect: { type: "amount_off", value: 250 },
			max_discount: 10_000,
		},
	]);
});

describe("isActiveAt", () => {
	const time = (milliseconds: number) => new Date(milliseconds).toISOString();
	test.each([
		[null, null, true],
		[time(1000), null, true],
		[time(1001), null, false],
		[null, time(1001), true],
		[null, time(1000), false],
		[time(1000), time(1001), true],
		[time(999), time(1000), false],
		[time(1001), time(1002), false],
	])("%s to %s at 1000 ms is %s", (starts_at, ends_at, expected) => {
		expect(isActiveAt({ starts_at, ends_at }, 1000)).toBe(expected);
	});
});
