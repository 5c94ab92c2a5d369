import { expect, test } from "@jest/globals";
import { v7 as uuid } from "uuid";
import type { Call } from "../../../lib/contracts/contract.ts";
import { done } from "../../../lib/contracts/outcome.ts";
import { MONEY_MAX } from "../../../lib/money/currency.ts";
import { MAX_ADJUSTMENTS } from "../../../lib/pricing/limits.ts";
import { toStored } from "../orders.prices.rules.ts";
import { pricedOrder } from "../test/stubbed-order-shop.ts";
import { bytesOf, newSaga, orderSteps } from "./steps.ts";

const CONTROL = "\u0001";

test.each([
	["an account", { user_id: uuid(), email: null, shipping_address: null }],
	[
		"a guest",
		{ user_id: null, email: CONTROL.repeat(254), shipping_address: CONTROL.repeat(2000) },
	],
])("the largest order of %s fits into its bytes at every step", async (_, { email, ...buyer }) => {
	const [line] = pricedOrder().lines;
	const priced = pricedOrder({
		email,
		lines: Array.from({ length: 100 }, () => ({ ...line!, product_id: uuid(), quantity: 1000 })),
		adjustments: Array.from({ length: MAX_ADJUSTMENTS }, () => ({
			...{ promotion_id: uuid(), name: "Every cent", code: null },
			amount: MONEY_MAX,
		})),
		total_amount: MONEY_MAX,
	});
	const payment_token = "x".repeat(100);
	const traceparent = `00-${"a".repeat(32)}-${"b".repeat(16)}-01`;
	const saga = newSaga({ ...buyer, payment_token, traceparent, ...toStored(priced) }, 1000);

	const sizes: number[] = [];
	const call = async (_: string, { orders }: { orders: object[] }) => {
		sizes.push(JSON.stringify(orders[0]).length);
		return [done];
	};
	const steps = orderSteps(call as unknown as Call);
	for (const { execute, compensate } of steps)
		for (const send of [execute, compensate]) await send([saga]);
	expect(sizes).toHaveLength(2 * steps.length);
	expect(Math.max(...sizes)).toBeLessThanOrEqual(bytesOf(saga));
});
