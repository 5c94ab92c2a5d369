import { expect, test } from "@jest/globals";
import { type Books, judgeAnswers, judgeBooks, type Placed } from "./books.ts";

const order = (id: string, status = "confirmed"): Placed => ({ id, status });
const books = (over: Partial<Books> = {}): Books => ({
	confirmed: 3,
	cancelled: 0,
	open: 0,
	sold: new Map([["mug", 3]]),
	taken: new Map([["mug", 3]]),
	paid: { payments: 3, shipments: 3, mails: 3, amount: 30, total: 30 },
	...over,
});
const told = { confirmed: 3, unsure: 0 };

test("orders that are stored as they were answered are in order", () => {
	expect(judgeAnswers([order("a"), order("b", "pending")], [order("b"), order("a", "shipped")])).toEqual([]);
	expect(judgeBooks(told, books())).toEqual([]);
});

test("an order that was answered and is not there, there twice, or taken back is a violation", () => {
	expect(judgeAnswers([order("a")], [])).toEqual([expect.stringContaining("is not stored")]);
	expect(judgeAnswers([order("a"), order("a")], [order("a")])).toEqual([expect.stringContaining("two requests")]);
	expect(judgeAnswers([order("a")], [order("a", "cancelled")])).toEqual([expect.stringContaining("is cancelled")]);
	// Nobody was promised that this one would come to be.
	expect(judgeAnswers([order("a", "pending")], [order("a", "cancelled")])).toEqual([]);
});

test("one order more than was answered is a violation, unless a request was left without a clear answer", () => {
	expect(judgeBooks({ confirmed: 2, unsure: 0 }, books())).toHaveLength(1);
	expect(judgeBooks({ confirmed: 2, unsure: 1 }, books())).toEqual([]);
	expect(judgeBooks({ confirmed: 4, unsure: 1 }, books())).toHaveLength(1);
});

test("stock, money, parcels and open orders that do not fit are violations each", () => {
	expect(judgeBooks(told, books({ taken: new Map([["mug", 2]]) }))).toEqual([expect.stringContaining("mug")]);
	expect(judgeBooks(told, books({ taken: new Map([...books().taken, ["cup", 1]]) }))).toEqual([expect.stringContaining("cup")]);
	expect(judgeBooks(told, books({ open: 1 }))).toHaveLength(1);
	for (const over of [{ payments: 2 }, { amount: 29.99 }, { shipments: 4 }, { mails: 2 }])
		expect(judgeBooks(told, books({ paid: { ...books().paid!, ...over } }))).toHaveLength(1);
});

test("a thousand violations of one kind are told in a few lines", () => {
	const all = Array.from({ length: 1000 }, (_, n) => order(`${n}`));
	expect(judgeAnswers(all, []).length).toBeLessThan(10);
});
