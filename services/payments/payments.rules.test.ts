import { expect, test } from "@jest/globals";
import fc from "fast-check";
import { fromMinorUnits } from "../../lib/money/currency.ts";
import { payment as shape } from "./payments.contract.ts";
import {
	assertDecimals,
	chargeOutcome,
	nextStatus,
	type Payment,
	planRefund,
	refundableAmount,
	reversalOf,
	type Status,
	type Transition,
	transitions,
} from "./payments.rules.ts";

const payment = (overrides: Partial<Payment> & { reversal?: string | null } = {}) => ({
	id: "",
	order_id: "",
	user_id: "",
	amount: 10,
	currency: "EUR",
	status: "captured" as Status,
	refunded_amount: 0,
	decline_code: null,
	expires_at: null,
	authorized_at: null,
	captured_at: null,
	voided_at: null,
	created_at: "",
	updated_at: "",
	reversal: null,
	...overrides,
});
const expectNotRefundable = (work: () => unknown) =>
	expect(work).toThrow(expect.objectContaining({ type: "NOT_REFUNDABLE", code: 409 }));

const statuses = shape.status.values;

test("assertDecimals rejects more decimals than the currency has", () => {
	expect(() => assertDecimals(1.5, "EUR")).not.toThrow();
	expect(() => assertDecimals(150, "JPY")).not.toThrow();
	expect(() => assertDecimals(1.005, "BHD")).not.toThrow();
	const names = (digits: number) =>
		expect.objectContaining({
			type: "VALIDATION_ERROR",
			code: 422,
			data: {
				errors: [expect.objectContaining({ message: expect.stringContaining(`${digits}`) })],
			},
		});
	expect(() => assertDecimals(1.5, "JPY")).toThrow(names(0));
	expect(() => assertDecimals(1.0005, "BHD")).toThrow(names(3));
});

test("nextStatus follows the transition table and throws for every other status", () => {
	for (const transition of Object.keys(transitions) as Transition[]) {
		const targets: Partial<Record<Status | "none", Status>> = transitions[transition];
		for (const from of ["none", ...statuses] as const) {
			if (targets[from]) expect(nextStatus(from, transition)).toBe(targets[from]);
			else expectNotRefundable(() => nextStatus(from, transition));
		}
	}
});

test("final statuses allow no transition and captured payments no second capture or void", () => {
	const finalStatuses = Object.entries(reversalOf).flatMap(([status, reversal]) =>
		reversal === "nothing" || reversal === "voidOrRefund" ? [status as Status] : [],
	);
	expect(finalStatuses.sort()).toEqual(["cancelled", "declined", "disputed", "refunded", "voided"]);
	for (const status of finalStatuses)
		for (const transition of Object.keys(transitions) as Transition[])
			expectNotRefundable(() => nextStatus(status, transition));
	for (const status of ["captured", "partially_refunded"] as const) {
		for (const transition of ["authorize", "capture", "void", "decline"] as const)
			expectNotRefundable(() => nextStatus(status, transition));
	}
});

test("every reversal is a legal transition that leaves no money captured", () => {
	for (const status of statuses) {
		const reversal = reversalOf[status];
		if (reversal === "void") expect(nextStatus(status, "void")).toBe("voided");
		if (reversal === "refund") expect(nextStatus(status, "refundRest")).toBe("refunded");
	}
});

test("planRefund distinguishes partial and full refunds", () => {
	expect(planRefund(payment(), 4)).toEqual({ amount: 4, status: "partially_refunded" });
	expect(planRefund(payment({ status: "partially_refunded", refunded_amount: 4 }))).toEqual({
		amount: 6,
		status: "refunded",
	});
	expect(planRefund(payment(), 10)).toEqual({ amount: 10, status: "refunded" });
});

test("planRefund rejects excessive and zero amounts and payments in reversal", () => {
	expectNotRefundable(() => planRefund(payment(), 10.01));
	expectNotRefundable(() => planRefund(payment(), 0));
	expectNotRefundable(() => planRefund(payment({ amount: 0 })));
	expectNotRefundable(() => planRefund(payment({ status: "declined" })));
	expectNotRefundable(() => planRefund(payment({ status: "declined" }), 5));
	expectNotRefundable(() => planRefund(payment({ status: "authorized" }), 5));
	expectNotRefundable(() => planRefund(payment({ status: "voided" }), 5));
	expectNotRefundable(() => planRefund(payment({ status: "refunded", refunded_amount: 10 })));
	expectNotRefundable(() => planRefund(payment({ reversal: "begun" }), 1));
});

test("partial refunds in any currency add up to the amount, and the last one takes the rest", () => {
	const splits = fc.array(fc.integer({ min: 1, max: 500_000_000 }), {
		minLength: 1,
		maxLength: 20,
	});
	fc.assert(
		fc.property(fc.constantFrom("JPY", "EUR", "BHD"), splits, (currency, parts) => {
			const amountOf = (minor: number) => fromMinorUnits(minor, currency);
			const amount = amountOf(parts.reduce((sum, part) => sum + part, 0));
			let current = payment({ amount, currency });
			let refunded = 0;
			for (const [i, part] of parts.entries()) {
				const isLast = i === parts.length - 1;
				const plan = planRefund(current, isLast ? undefined : amountOf(part));
				expect(plan.amount).toBe(amountOf(part));
				refunded += part;
				current = { ...current, status: plan.status, refunded_amount: amountOf(refunded) };
			}
			expect(current).toMatchObject({ status: "refunded", refunded_amount: amount });
			expect(refundableAmount(current)).toBe(0);
			expectNotRefundable(() => planRefund(current, amountOf(1)));
		}),
	);
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
	for (const status of ["captured", "partially_refunded", "refunded"] as const)
		expect(outcomeOf(status)).toEqual({ status: "done" });
	expect(outcomeOf("declined")).toEqual({
		status: "refused",
		code: "PAYMENT_DECLINED",
		detail: "card declined",
	});
	for (const status of ["authorized", "captured", "refunded", "voided", "cancelled"] as const) {
		for (const reversal of ["begun", "done"])
			expect(outcomeOf(status, reversal)).toEqual({ status: "refused", code: "REVERSED" });
	}
});
