import { describe, expect, test } from "@jest/globals";
import type { PaymentIntent } from "./objects.ts";
import { search } from "./search.ts";

const intents = [
	{ id: "pi_1", amount: 100, created: 10, status: "succeeded", metadata: { order_id: "o1" } },
	{ id: "pi_2", amount: 200, created: 20, status: "canceled", metadata: { order_id: "o2" } },
	{ id: "pi_3", amount: 300, created: 30, status: "succeeded", metadata: { note: "a AND b" } },
].map((fields) => ({ currency: "eur", ...fields })) as unknown as PaymentIntent[];
const found = (query: string) =>
	search(intents, { query }, "/v1/payment_intents/search").data.map(({ id }) => id);

describe("search", () => {
	test.each([
		[`metadata['order_id']:'o1'`, ["pi_1"]],
		[`metadata["order_id"]:"o2"`, ["pi_2"]],
		[`metadata['note']:'a AND b'`, ["pi_3"]],
		[`metadata['order_id']:'o'`, []],
		[`status:'succeeded' AND amount>100`, ["pi_3"]],
		[`amount<=100 OR amount>=300`, ["pi_3", "pi_1"]],
		[`-status:"succeeded"`, ["pi_2"]],
		[`created:20`, ["pi_2"]],
		[`currency:'eur'`, ["pi_3", "pi_2", "pi_1"]],
	])("finds by %s", (query, ids) => {
		expect(found(query)).toEqual(ids);
	});

	test.each([
		"order_id:'o1'",
		"metadata['order_id']",
		"status:'a' AND",
		"status:'a' XOR status:'b'",
		"status:'a' AND status:'b' OR status:'c'",
		"amount>x",
	])("rejects %s", (query) => {
		expect(() => found(query)).toThrow("unable to parse");
	});

	test("returns pages", () => {
		const form = { query: "currency:'eur'", limit: "2" };
		const first = search(intents, form, "/");
		expect(first).toMatchObject({ has_more: true, data: [{ id: "pi_3" }, { id: "pi_2" }] });
		expect(search(intents, { ...form, page: first.next_page! }, "/")).toMatchObject({
			has_more: false,
			next_page: null,
			data: [{ id: "pi_1" }],
		});
	});
});
