import { describe, expect, test } from "@jest/globals";
import { refundable, withRefunds } from "./charges.ts";
import { closeDispute, forbidsRefund, openDispute } from "./disputes.ts";
import type { Charge, Refund, RefundStatus } from "./objects.ts";
import { newRefund, refundAmount, resolveRefund } from "./refunds.ts";

const charge = {
	id: "ch_1",
	amount: 1000,
	amount_captured: 800,
	captured: true,
	status: "succeeded",
	currency: "eur",
	payment_intent: "pi_1",
	disputed: false,
} as Charge;
const refund = (amount: number, status: RefundStatus = "succeeded"): Refund => ({
	...newRefund({
		id: "re_1",
		now: 1,
		charge,
		status: "pending",
		amount,
		metadata: {},
		reason: null,
	}),
	status,
});
const withCode = (code: string) =>
	expect.objectContaining({ status: 400, body: expect.objectContaining({ code }) });

describe("refundAmount", () => {
	test("is by default the remaining amount", () => {
		expect(refundAmount(charge, [refund(300), refund(100, "pending")], false, undefined)).toBe(400);
	});

	test("ignores failed and canceled refunds", () => {
		expect(refundAmount(charge, [refund(800, "failed"), refund(1, "canceled")], false, 800)).toBe(
			800,
		);
	});

	test("rejects more than the remaining amount", () => {
		expect(() => refundAmount(charge, [], false, 801)).toThrow("greater than unrefunded amount");
		expect(() => refundAmount(charge, [refund(800)], false, 1)).toThrow(
			withCode("charge_already_refunded"),
		);
	});

	test("rejects a charge that is not captured, or is disputed", () => {
		const uncaptured = { ...charge, captured: false, amount_captured: 0 };
		expect(() => refundAmount(uncaptured, [], false, 1)).toThrow(
			withCode("payment_intent_unexpected_state"),
		);
		expect(() => refundAmount(charge, [], true, 1)).toThrow(withCode("charge_disputed"));
	});
});

describe("resolveRefund", () => {
	const ALLOWED: [RefundStatus, "succeeded" | "failed" | "canceled"][] = [
		["pending", "succeeded"],
		["pending", "failed"],
		["pending", "canceled"],
		["succeeded", "failed"],
	];
	test.each(ALLOWED)("changes %s to %s", (from, to) => {
		expect(resolveRefund(refund(1, from), to).refund.status).toBe(to);
	});

	test.each([
		["succeeded", "canceled"],
		["failed", "succeeded"],
		["canceled", "succeeded"],
	] as const)("does not change %s to %s", (from, to) => {
		expect(() => resolveRefund(refund(1, from), to)).toThrow(`cannot become ${to}`);
	});

	test("publishes refund.failed only for a failure", () => {
		expect(resolveRefund(refund(1, "pending"), "failed").events).toContain("refund.failed");
		expect(resolveRefund(refund(1, "pending"), "succeeded").events).toEqual(["refund.updated"]);
	});
});

test("the refunded amount of a charge includes the released rest of the authorization", () => {
	expect(withRefunds(charge, [refund(300)])).toMatchObject({
		amount_refunded: 500,
		refunded: false,
	});
	expect(withRefunds(charge, [refund(800)])).toMatchObject({
		amount_refunded: 1000,
		refunded: true,
	});
	expect(refundable(charge, [refund(300)])).toBe(500);
});

describe("disputes", () => {
	const opened = () =>
		openDispute({ id: "du_1", now: 1, charge, amount: 800, reason: "fraudulent" }).dispute;

	test("a dispute forbids refunds until it is won", () => {
		expect(forbidsRefund(opened())).toBe(true);
		expect(forbidsRefund(closeDispute(opened(), "lost").dispute)).toBe(true);
		expect(forbidsRefund(closeDispute(opened(), "won").dispute)).toBe(false);
	});

	test("a won dispute returns the money", () => {
		expect(closeDispute(opened(), "won").events).toEqual([
			"charge.dispute.closed",
			"charge.dispute.funds_reinstated",
		]);
		expect(closeDispute(opened(), "lost").events).toEqual(["charge.dispute.closed"]);
	});

	test("rejects a second decision, a second dispute and more than the captured amount", () => {
		expect(() => closeDispute(closeDispute(opened(), "won").dispute, "lost")).toThrow(
			"already closed",
		);
		const open = { id: "du_2", now: 1, reason: "fraudulent" };
		expect(() =>
			openDispute({ ...open, charge: { ...charge, disputed: true }, amount: 1 }),
		).toThrow("already disputed");
		expect(() => openDispute({ ...open, charge, amount: 801 })).toThrow("exceeds");
	});
});
