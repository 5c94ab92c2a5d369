import { expect, test } from "@jest/globals";
import { checkResponses, checkShopState, type OrderRecord, type ShopState } from "./invariants.ts";

const order = (id: string, status = "confirmed"): OrderRecord => ({ id, status });
const shopState = (over: Partial<ShopState> = {}): ShopState => ({
	confirmed: 3,
	cancelled: 0,
	open: 0,
	sold: new Map([["mug", 3]]),
	reserved: new Map([["mug", 3]]),
	fulfillment: { payments: 3, shipments: 3, mails: 3, amount: 30, total: 30 },
	...over,
});
const counts = { confirmed: 3, undetermined: 0 };

test("accepts orders that are stored as they were returned", () => {
	expect(
		checkResponses([order("a"), order("b", "pending")], [order("b"), order("a", "shipped")]),
	).toEqual([]);
	expect(checkShopState(counts, shopState())).toEqual([]);
});

test("reports a returned order that is missing, repeated, or was cancelled again", () => {
	expect(checkResponses([order("a")], [])).toEqual([expect.stringContaining("is not stored")]);
	expect(checkResponses([order("a"), order("a")], [order("a")])).toEqual([
		expect.stringContaining("two requests"),
	]);
	expect(checkResponses([order("a")], [order("a", "cancelled")])).toEqual([
		expect.stringContaining("is cancelled"),
	]);
	// A pending order may still be cancelled.
	expect(checkResponses([order("a", "pending")], [order("a", "cancelled")])).toEqual([]);
});

test("reports an order without a response, unless a response is undetermined", () => {
	expect(checkShopState({ confirmed: 2, undetermined: 0 }, shopState())).toHaveLength(1);
	expect(checkShopState({ confirmed: 2, undetermined: 1 }, shopState())).toEqual([]);
	expect(checkShopState({ confirmed: 4, undetermined: 1 }, shopState())).toHaveLength(1);
});

test("reports each mismatch of stock, payments, shipments, e-mails and open orders", () => {
	expect(checkShopState(counts, shopState({ reserved: new Map([["mug", 2]]) }))).toEqual([
		expect.stringContaining("mug"),
	]);
	expect(
		checkShopState(counts, shopState({ reserved: new Map([...shopState().reserved, ["cup", 1]]) })),
	).toEqual([expect.stringContaining("cup")]);
	expect(checkShopState(counts, shopState({ open: 1 }))).toHaveLength(1);
	for (const over of [{ payments: 2 }, { amount: 29.99 }, { shipments: 4 }, { mails: 2 }])
		expect(
			checkShopState(counts, shopState({ fulfillment: { ...shopState().fulfillment!, ...over } })),
		).toHaveLength(1);
});

test("reports a thousand violations of one kind in a few lines", () => {
	const all = Array.from({ length: 1000 }, (_, n) => order(`${n}`));
	expect(checkResponses(all, []).length).toBeLessThan(10);
});
