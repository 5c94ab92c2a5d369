import { expect, test } from "@jest/globals";
import fc from "fast-check";
import { fromMinorUnits } from "../../lib/money/currency.ts";
import { chargeOutcome, planRefund, type Status } from "./payments.rules.ts";

const expectNotRefundable = (work: () => unknown) =>
	expect(work).toThrow(expect.objectContaining({ type: "NOT_REFUNDABLE", code: 409 }));

test("partial refunds add up to the amount, and the last one takes the rest", () => {
	const splits = fc.array(fc.integer({ min: 1, max: 500_000_000 }), {
		minLength: 1,
		maxLength: 20,
	});
	fc.assert(
		fc.property(fc.constantFrom("JPY", "EUR", "BHD"), splits, (currency, parts) => {
			const payment = { currency, reversal: null };
			let refundable = parts.reduce((sum, part) => sum + part, 0);
			for (const [i, part] of parts.entries()) {
				const isLast = i === parts.length - 1;
				const amount = isLast ? undefined : fromMinorUnits(part, currency);
				expect(planRefund(payment, refundable, amount)).toBe(part);
				refundable -= part;
			}
			expectNotRefundable(() => planRefund(payment, refundable, fromMinorUnits(1, currency)));
		}),
	);
});

const eur = { currency: "EUR", reversal: null };

test("planRefund refunds a part, or the refundable amount by default", () => {
	expect(planRefund(eur, 1000, 4)).toBe(400);
	expect(planRefund(eur, 600)).toBe(600);
	expect(planRefund({ currency: "JPY", reversal: null }, 150, 150)).toBe(150);
	expect(planRefund({ ...eur, reversal: "done" }, 600, 6)).toBe(600);
});

test("planRefund rejects excessive and zero amounts and payments in reversal", () => {
	expectNotRefundable(() => planRefund(eur, 1000, 10.01));
	expectNotRefundable(() => planRefund(eur, 1000, 0));
	expectNotRefundable(() => planRefund(eur, 0));
	expectNotRefundable(() => planRefund({ ...eur, reversal: "begun" }, 1000, 1));
});

test("planRefund states that nothing is left, instead of an excessive amount", () => {
	const message = (refundable: number, amount?: number) => () =>
		planRefund(eur, refundable, amount);
	expect(message(1000, 10.01)).toThrow("exceeds the remaining amount");
	for (const amount of [undefined, 1])
		expect(message(0, amount)).toThrow("The payment has no amount that can be refunded");
});

test("chargeOutcome reflects the recorded state", () => {
	const outcomeOf = (status: Status, reversal: string | null = null) =>
		chargeOutcome({
			status,
			reversal,
			decline_reason: status === "declined" ? "card declined" : null,
		});
	expect(chargeOutcome(undefined)).toEqual({ status: "pending" });
	expect(outcomeOf("authorized")).toEqual({ status: "pending" });
	for (const status of ["captured", "partially_refunded", "refunded", "disputed"] as const)
		expect(outcomeOf(status)).toEqual({ status: "done" });
	expect(outcomeOf("declined")).toEqual({
		status: "refused",
		code: "PAYMENT_DECLINED",
		detail: "card declined",
	});
	expect(outcomeOf("voided")).toEqual({ status: "refused", code: "REVERSED" });
	for (const status of ["authorized", "captured", "refunded", "voided", "cancelled"] as const) {
		for (const reversal of ["begun", "done"])
			expect(outcomeOf(status, reversal)).toEqual({ status: "refused", code: "REVERSED" });
	}
});

test("chargeOutcome waits for the buyer until a deadline, and for a bank without one", () => {
	const expires_at = "2026-01-01T12:00:00.000Z";
	const common = { decline_reason: null, reversal: null };
	expect(
		chargeOutcome({ ...common, status: "requires_action", expires_at, client_secret: "secret" }),
	).toEqual({
		status: "waiting",
		deadline: expires_at,
		data: { status: "requires_action", expires_at, client_secret: "secret" },
	});
	expect(chargeOutcome({ ...common, status: "processing", expires_at: null })).toEqual({
		status: "waiting",
		data: { status: "processing", expires_at: null },
	});
});
