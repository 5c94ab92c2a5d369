import { expect, test } from "@jest/globals";
import fc from "fast-check";
import { payment as shape } from "./payments.contract.ts";
import {
	assertAmount,
	chargeOutcome,
	left,
	next,
	type Payment,
	planRefund,
	type Status,
	type Transition,
	transitions,
	undoing,
} from "./payments.rules.ts";

const payment = (over: Partial<Payment> & { reversal?: string | null } = {}) => ({
	id: "",
	order_id: "",
	user_id: "",
	amount: 10,
	currency: "EUR",
	status: "captured" as Status,
	refunded_amount: 0,
	authorized_at: null,
	captured_at: null,
	voided_at: null,
	created_at: "",
	updated_at: "",
	reversal: null,
	...over,
});
const notRefundable = (work: () => unknown) =>
	expect(work).toThrow(expect.objectContaining({ type: "NOT_REFUNDABLE", code: 409 }));

const statuses = shape.status.values;

test("a refund has no more decimals than its currency", () => {
	expect(() => assertAmount(1.5, "EUR")).not.toThrow();
	expect(() => assertAmount(150, "JPY")).not.toThrow();
	expect(() => assertAmount(1.5, "JPY")).toThrow(
		expect.objectContaining({ type: "VALIDATION_ERROR", code: 422 }),
	);
});

test("every transition leads from where it is listed to where it says, and from everywhere else it throws", () => {
	for (const transition of Object.keys(transitions) as Transition[]) {
		const listed: Partial<Record<Status | "none", Status>> = transitions[transition];
		for (const from of ["none", ...statuses] as const) {
			if (listed[from]) expect(next(from, transition)).toBe(listed[from]);
			else notRefundable(() => next(from, transition));
		}
	}
});

test("nothing leads out of refunded, declined, voided and cancelled, and nothing is captured twice or voided after it was captured", () => {
	const ends = Object.entries(undoing).flatMap(([status, undo]) =>
		undo === "nothing" || undo === "ask" ? [status as Status] : [],
	);
	expect(ends.sort()).toEqual(["cancelled", "declined", "refunded", "voided"]);
	for (const end of ends)
		for (const transition of Object.keys(transitions) as Transition[])
			notRefundable(() => next(end, transition));
	for (const taken of ["captured", "partially_refunded"] as const) {
		for (const transition of ["authorize", "capture", "void", "decline"] as const)
			notRefundable(() => next(taken, transition));
	}
});

test("what undoes a payment is a way that its state machine has, and leaves no money with us", () => {
	for (const status of statuses) {
		const undo = undoing[status];
		if (undo === "void") expect(next(status, "void")).toBe("voided");
		if (undo === "refund") expect(next(status, "refundRest")).toBe("refunded");
	}
});

test("a refund of a part leaves the rest, a refund of the rest nothing", () => {
	expect(planRefund(payment(), 4)).toEqual({ amount: 4, status: "partially_refunded" });
	expect(planRefund(payment({ status: "partially_refunded", refunded_amount: 4 }))).toEqual({
		amount: 6,
		status: "refunded",
	});
	expect(planRefund(payment(), 10)).toEqual({ amount: 10, status: "refunded" });
});

test("more than is left, nothing at all, and a payment that is being reversed cannot be refunded", () => {
	notRefundable(() => planRefund(payment(), 10.01));
	notRefundable(() => planRefund(payment(), 0));
	notRefundable(() => planRefund(payment({ amount: 0 })));
	notRefundable(() => planRefund(payment({ status: "declined" })));
	notRefundable(() => planRefund(payment({ status: "declined" }), 5));
	notRefundable(() => planRefund(payment({ status: "authorized" }), 5));
	notRefundable(() => planRefund(payment({ status: "voided" }), 5));
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
				now = {
					...now,
					status: plan.status,
					refunded_amount: Math.round((now.refunded_amount + plan.amount) * 100) / 100,
				};
			}
			expect(now).toMatchObject({ status: "refunded", refunded_amount: amount });
			expect(left(now)).toBe(0);
			notRefundable(() => planRefund(now, 0.01));
		}),
	);
});

test("a charge comes to what is on record", () => {
	const standing = (status: Status, reversal: string | null = null) =>
		chargeOutcome({
			status,
			reversal,
			decline_reason: status === "declined" ? "card declined" : null,
		});
	expect(chargeOutcome(undefined)).toEqual({ status: "pending" });
	expect(standing("authorized")).toEqual({ status: "pending" });
	for (const status of ["captured", "partially_refunded", "refunded"] as const)
		expect(standing(status)).toEqual({ status: "done" });
	expect(standing("declined")).toEqual({
		status: "refused",
		code: "PAYMENT_DECLINED",
		detail: "card declined",
	});
	for (const status of ["authorized", "captured", "refunded", "voided", "cancelled"] as const) {
		for (const reversal of ["begun", "done"])
			expect(standing(status, reversal)).toEqual({ status: "refused", code: "REVERSED" });
	}
});
