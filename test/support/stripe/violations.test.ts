import { describe, expect, test } from "@jest/globals";
import type { PaymentIntent, Refund } from "./objects.ts";
import { type Movement, ordersChargedTwice, violationsOfMovements } from "./violations.ts";

const movement = (kind: Movement["kind"], amount: number): Movement => ({
	kind,
	paymentIntent: "pi_1",
	amount,
	authorized: 1000,
});
const kinds = (...movements: Movement[]) =>
	violationsOfMovements(movements).map(({ kind }) => kind);

describe("violationsOfMovements", () => {
	test("accepts a capture with refunds up to its amount", () => {
		expect(kinds(movement("capture", 900), movement("refund", 900))).toEqual([]);
	});

	test("accepts a second refund after the first one failed", () => {
		expect(
			kinds(
				movement("capture", 900),
				movement("refund", 900),
				movement("refund_failed", 900),
				movement("refund", 900),
			),
		).toEqual([]);
	});

	test("reports two captures, excessive captures and excessive refunds", () => {
		expect(kinds(movement("capture", 500), movement("capture", 500))).toEqual(["repeated_capture"]);
		expect(kinds(movement("capture", 1001))).toEqual(["capture_over_authorization"]);
		expect(kinds(movement("capture", 500), movement("refund", 501))).toEqual([
			"refund_over_captured",
		]);
	});
});

describe("ordersChargedTwice", () => {
	const intent = (id: string, order: string, amount_received: number) =>
		({ id, metadata: { order_id: order }, amount_received }) as unknown as PaymentIntent;
	const refund = (payment_intent: string, amount: number) =>
		({ payment_intent, amount, status: "succeeded" }) as unknown as Refund;

	test("reports an order with two paid intents", () => {
		const intents = [
			intent("pi_1", "o1", 100),
			intent("pi_2", "o1", 100),
			intent("pi_3", "o2", 100),
		];
		expect(ordersChargedTwice(intents, [], "order_id")).toMatchObject([
			{ kind: "order_charged_twice", paymentIntents: ["pi_1", "pi_2"], rejected: false },
		]);
	});

	test("ignores refunded and unpaid intents", () => {
		const intents = [intent("pi_1", "o1", 100), intent("pi_2", "o1", 100), intent("pi_3", "o1", 0)];
		expect(ordersChargedTwice(intents, [refund("pi_2", 100)], "order_id")).toEqual([]);
	});
});
