import { expect, test } from "@jest/globals";
import fc from "fast-check";
import { chargeOutcome, left, next, type Payment, planRefund, type Status, transitions } from "./payments.rules.ts";

const payment = (over: Partial<Payment> & { reversal?: string | null } = {}) => ({
	id: "",
	order_id: "",
	user_id: "",
	amount: 10,
	currency: "EUR",
	status: "captured" as Status,
	refunded_amount: 0,
	created_at: "",
	updated_at: "",
	reversal: null,
	...over,
});
const notRefundable = (work: () => unknown) => expect(work).toThrow(expect.objectContaining({ type: "NOT_REFUNDABLE", code: 409 }));

test("nothing leads out of refunded, declined and cancelled", () => {
	for (const end of ["refunded", "declined", "cancelled"] as const) {
		notRefundable(() => next(end, "refundPart"));
		notRefundable(() => next(end, "refundRest"));
		expect(next(end, "reverse")).toBe(end);
	}
	for (const transition of ["capture", "decline"] as const) {
		for (const status of Object.keys(transitions.reverse)) {
			if (status !== "none") notRefundable(() => next(status as Status, transition));
		}
	}
});

test("a reversal never leaves money with us", () => {
	expect(Object.values(transitions.reverse)).not.toContain("captured");
	expect(Object.values(transitions.reverse)).not.toContain("partially_refunded");
});

test("a refund of a part leaves the rest, a refund of the rest nothing", () => {
	expect(planRefund(payment(), 4)).toEqual({ amount: 4, status: "partially_refunded" });
	expect(planRefund(payment({ status: "partially_refunded", refunded_amount: 4 }))).toEqual({ amount: 6, status: "refunded" });
	expect(planRefund(payment(), 10)).toEqual({ amount: 10, status: "refunded" });
});

test("more than is left, nothing at all, and a payment that is being reversed cannot be refunded", () => {
	notRefundable(() => planRefund(payment(), 10.01));
	notRefundable(() => planRefund(payment(), 0));
	notRefundable(() => planRefund(payment({ amount: 0 })));
	notRefundable(() => planRefund(payment({ status: "declined" })));
	notRefundable(() => planRefund(payment({ status: "declined" }), 5));
	notRefundable(() => planRefund(payment({ status: "refunded", refunded_amount: 10 })));
	notRefundable(() => planRefund(payment({ reversal: "begun" }), 1));
});

test("however an amount is cut up, its parts are refunded to the last cent and not one more", () => {
	const cuts = fc.array(fc.integer({ min: 1, max: 500_000_000 }), { minLength: 1, maxLength: 20 });
	fc.assert(
		fc.property(cuts, (parts) => {
			const amount = parts.reduce((sum, part) => sum + part, 0) / 100;
			let now = payment({ amount });
			for (const part of parts) {
				const plan = planRefund(now, part / 100);
				now = { ...now, status: plan.status, refunded_amount: Math.round((now.refunded_amount + plan.amount) * 100) / 100 };
			}
			expect(now).toMatchObject({ status: "refunded", refunded_amount: amount });
			expect(left(now)).toBe(0);
			notRefundable(() => planRefund(now, 0.01));
		}),
	);
});

test("a charge comes to what is on record", () => {
	const standing = (status: Status, reversal: string | null = null) =>
		chargeOutcome({ status, reversal, decline_reason: status === "declined" ? "card declined" : null });
	expect(chargeOutcome(undefined)).toEqual({ status: "pending" });
	for (const status of ["captured", "partially_refunded", "refunded"] as const) expect(standing(status)).toEqual({ status: "done" });
	expect(standing("declined")).toEqual({ status: "refused", code: "PAYMENT_DECLINED", detail: "card declined" });
	for (const status of ["captured", "refunded", "cancelled"] as const) {
		for (const reversal of ["begun", "done"]) expect(standing(status, reversal)).toEqual({ status: "refused", code: "REVERSED" });
	}
});
