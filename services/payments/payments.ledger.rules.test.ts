import { globSync, readFileSync } from "node:fs";
import { describe, expect, test } from "@jest/globals";
import fc from "fast-check";
import { balanceOf, impliedBy, keyOf, type Transaction } from "./payments.ledger.rules.ts";

const at = "2026-01-01T12:00:00.000Z";
const entry = (type: Transaction["type"], state: Transaction["state"], amount = 1000, ref = "o") =>
	({ type, state, amount, reference: ref, reason: null, at }) satisfies Transaction;
const statusOf = (...transactions: Transaction[]) => balanceOf(transactions).status;

const types = ["authorization", "capture", "void"] as const;
const states = ["requested", "succeeded", "failed"] as const;
/** Sets of transactions, also impossible ones, with one amount per reference. */
const ledgers = fc.uniqueArray(
	fc.oneof(
		fc
			.tuple(fc.constantFrom(...types), fc.constantFrom(...states))
			.map(([type, state]) => entry(type, state)),
		fc
			.tuple(
				fc.constantFrom("refund", "refund_failed", "dispute", "dispute_reversed" as const),
				fc.constantFrom(...states),
				fc.integer({ min: 1, max: 4 }),
			)
			.map(([type, state, n]) => entry(type as Transaction["type"], state, n * 100, `r${n}`)),
	),
	{ selector: keyOf, maxLength: 20 },
);

describe("the balance", () => {
	test("does not depend on the order and repetition of transactions", () => {
		const histories = ledgers.chain((ledger) =>
			fc.record({
				ledger: fc.constant(ledger),
				shuffled: fc.shuffledSubarray(ledger, { minLength: ledger.length }),
				repeated: fc.subarray(ledger),
			}),
		);
		fc.assert(
			fc.property(histories, ({ ledger, shuffled, repeated }) => {
				const expected = balanceOf(ledger);
				expect(balanceOf(shuffled)).toEqual(expected);
				expect(balanceOf([...repeated, ...shuffled, ...repeated])).toEqual(expected);
			}),
			{ seed: 20_260_101, numRuns: 1000 },
		);
	});

	test("never has more refundable than captured, and never a negative amount", () => {
		fc.assert(
			fc.property(ledgers, (ledger) => {
				const { authorized, captured, refunded, disputed, refundable } = balanceOf(ledger);
				for (const amount of [authorized, captured, refunded, disputed, refundable])
					expect(amount).toBeGreaterThanOrEqual(0);
				expect(refundable).toBeLessThanOrEqual(captured);
				expect(authorized > 0 && captured > 0).toBe(false);
			}),
		);
	});

	test("a captured payment never becomes uncaptured by another transaction", () => {
		const uncaptured = ["none", "requires_action", "processing", "authorized", "declined"];
		fc.assert(
			fc.property(ledgers, (ledger) => {
				const { status } = balanceOf([...ledger, entry("capture", "succeeded")]);
				expect([...uncaptured, "voided"]).not.toContain(status);
			}),
		);
	});
});

test("the most advanced transaction determines the status", () => {
	const requested = entry("authorization", "requested");
	const processing = entry("capture", "requested");
	const authorized = entry("authorization", "succeeded");
	const captured = entry("capture", "succeeded");
	const declined = entry("capture", "failed");
	const voided = entry("void", "succeeded");
	const refund = entry("refund", "requested", 400, "r");
	expect(statusOf()).toBe("none");
	expect(statusOf(requested)).toBe("requires_action");
	expect(statusOf(processing, requested)).toBe("processing");
	expect(statusOf(authorized, processing, requested)).toBe("authorized");
	expect(statusOf(requested, declined)).toBe("declined");
	expect(statusOf(declined, voided)).toBe("declined");
	expect(statusOf(voided, authorized)).toBe("voided");
	expect(statusOf(captured, voided)).toBe("captured");
	expect(statusOf(captured, refund)).toBe("partially_refunded");
	expect(statusOf(captured, refund, entry("refund", "requested", 600, "rest"))).toBe("refunded");
});

test("a refund counts from its request until it fails, once", () => {
	const captured = entry("capture", "succeeded");
	const requested = entry("refund", "requested", 400, "r");
	const paid = entry("refund", "succeeded", 400, "r");
	const failed = entry("refund_failed", "succeeded", 400, "r");
	for (const refund of [[requested], [paid], [requested, paid]])
		expect(balanceOf([captured, ...refund])).toMatchObject({ refunded: 400, refundable: 600 });
	for (const refund of [
		[requested, failed],
		[failed, paid, requested],
		[requested, entry("refund", "failed", 400, "r")],
	])
		expect(balanceOf([captured, ...refund])).toMatchObject({
			refunded: 0,
			refundable: 1000,
			status: "captured",
		});
});

test("a disputed amount is not refundable until the dispute is reversed", () => {
	const captured = entry("capture", "succeeded");
	const dispute = entry("dispute", "succeeded", 1000, "d");
	expect(balanceOf([dispute, captured])).toMatchObject({
		disputed: 1000,
		refundable: 0,
		status: "disputed",
	});
	expect(
		balanceOf([entry("dispute_reversed", "succeeded", 1000, "d"), dispute, captured]),
	).toMatchObject({ disputed: 0, refundable: 1000, status: "captured" });
});

test("the row of a payment implies the transactions that are not stored", () => {
	const payment = {
		order_id: "o",
		amount: 10,
		currency: "EUR",
		authorized_at: at,
		captured_at: at,
		voided_at: null,
		created_at: at,
		decline_reason: null,
	};
	const refund = { id: "r", amount: 4, reason: null, created_at: at, failure_reason: null };
	const settled = { ...refund, settled_at: at, failed_at: null };
	expect(impliedBy({ ...payment, status: "captured" }, [])).toEqual([
		entry("capture", "succeeded"),
	]);
	expect(balanceOf(impliedBy({ ...payment, status: "partially_refunded" }, [settled]))).toEqual(
		balanceOf([entry("capture", "succeeded"), entry("refund", "succeeded", 400, "r")]),
	);
	const old = { ...payment, authorized_at: null, captured_at: null };
	for (const status of ["requires_action", "processing", "captured", "declined"] as const)
		expect(statusOf(...impliedBy({ ...old, status }, []))).toBe(status);
	expect(statusOf(...impliedBy({ ...old, status: "voided", voided_at: at }, []))).toBe("voided");
});

test("no statement updates or deletes transactions", () => {
	const files = globSync(`${import.meta.dirname}/**/*.{ts,sql}`).filter(
		(file) => !/\.(test\.ts|down\.sql)$/.test(file),
	);
	expect(files.length).toBeGreaterThan(20);
	const changing = /\b(update|delete\s+from|truncate(\s+table)?)\s+payment_transactions\b/i;
	expect(files.filter((file) => changing.test(readFileSync(file, "utf8")))).toEqual([]);
});
