import { expect, test } from "@jest/globals";
import { checkResponses, checkShopState, type OrderRecord, type ShopState } from "./books.ts";

const order = (id: string, status = "confirmed"): OrderRecord => ({ id, status });
const books = (over: Partial<ShopState> = {}): ShopState => ({
	confirmed: 3,
	cancelled: 0,
	open: 0,
	sold: new Map([["mug", 3]]),
	reserved: new Map([["mug", 3]]),
	fulfillment: { payments: 3, shipments: 3, mails: 3, amount: 30, total: 30 },
	...over,
});
const responses = { confirmed: 3, undetermined: 0 };

test("orders that are stored as they were answered are in order", () => {
	expect(checkResponses([order("a"), order("b", "pending")], [order("b"), order("a", "shipped")])).toEqual([]);
	expect(checkShopState(responses, books())).toEqual([]);
});

test("an order that was answered and is not there, there twice, or taken back is a violation", () => {
	expect(checkResponses([order("a")], [])).toEqual([expect.stringContaining("is not stored")]);
	expect(checkResponses([order("a"), order("a")], [order("a")])).toEqual([expect.stringContaining("two requests")]);
	expect(checkResponses([order("a")], [order("a", "cancelled")])).toEqual([expect.stringContaining("is cancelled")]);
	// Nobody was promised that this one would come to be.
	expect(checkResponses([order("a", "pending")], [order("a", "cancelled")])).toEqual([]);
});

test("one order more than was answered is a violation, unless a request was left without a clear answer", () => {
	expect(checkShopState({ confirmed: 2, undetermined: 0 }, books())).toHaveLength(1);
	expect(checkShopState({ confirmed: 2, undetermined: 1 }, books())).toEqual([]);
	expect(checkShopState({ confirmed: 4, undetermined: 1 }, books())).toHaveLength(1);
});

test("stock, money, parcels and open orders that do not fit are violations each", () => {
	expect(checkShopState(responses, books({ reserved: new Map([["mug", 2]]) }))).toEqual([expect.stringContaining("mug")]);
	expect(checkShopState(responses, books({ reserved: new Map([...books().reserved, ["cup", 1]]) }))).toEqual([
		expect.stringContaining("cup"),
	]);
	expect(checkShopState(responses, books({ open: 1 }))).toHaveLength(1);
	for (const over of [{ payments: 2 }, { amount: 29.99 }, { shipments: 4 }, { mails: 2 }])
		expect(checkShopState(responses, books({ fulfillment: { ...books().fulfillment!, ...over } }))).toHaveLength(1);
});

test("a thousand violations of one kind are responses in a few lines", () => {
	const all = Array.from({ length: 1000 }, (_, n) => order(`${n}`));
	expect(checkResponses(all, []).length).toBeLessThan(10);
});
