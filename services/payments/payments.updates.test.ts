import { expect, test } from "@jest/globals";
import fc from "fast-check";
import { GUEST } from "./payments.rules.ts";
import {
	type LockedPayment,
	ledgerOf,
	planReservation,
	planUpdate,
	type RequestedRefund,
	type StoredPayment,
	type Update,
} from "./payments.updates.ts";
import type { ProviderRecord, ProviderTransaction } from "./providers/provider.ts";

const at = "2026-01-01T12:00:00.000Z";
const eventData = (type: string, data: object) => JSON.stringify({ type, ...data });
const payment: StoredPayment = {
	id: "p",
	order_id: "o",
	user_id: "u",
	buyer_id: null,
	amount: 10,
	currency: "EUR",
	status: "requires_action",
	refunded_amount: 0,
	decline_reason: null,
	decline_code: null,
	expires_at: at,
	authorized_at: null,
	captured_at: null,
	voided_at: null,
	created_at: at,
	updated_at: at,
	reversal: null,
	reference: null,
	client_secret: "secret",
	redirect_url: null,
};
const open: LockedPayment = { payment, refunds: [], stored: [] };
const captured = { status: "captured", amount: 10 } as const;
const entry = (
	type: ProviderTransaction["type"],
	state: ProviderTransaction["state"],
	reference: string,
	amount: number,
): ProviderTransaction => ({ type, state, reference, amount, at });

/** Applies an update as the database does. */
function apply(locked: LockedPayment, report: Partial<ProviderRecord>) {
	const update = planUpdate(locked, report, eventData as never, at);
	if (!update) return { locked, events: [] };
	return { locked: write(locked, update), events: update.events.map(({ type }) => type) };
}
function write({ refunds }: LockedPayment, update: Update): LockedPayment {
	const { payment, transactions: stored, refund } = update;
	const unsettled = { created_at: at, settled_at: null, failed_at: null, failure_reason: null };
	return { payment, stored, refunds: refund ? [...refunds, { ...refund, ...unsettled }] : refunds };
}
/** Records a refund as the request of an administrator does. */
const reserve = (locked: LockedPayment, refund: RequestedRefund): LockedPayment =>
	write(locked, planReservation(locked, refund, at));
const reverse = (locked: LockedPayment, reversal: "begun" | "done" = "begun"): LockedPayment => ({
	...locked,
	payment: { ...locked.payment, reversal },
});
function applyAll(locked: LockedPayment, reports: readonly Partial<ProviderRecord>[]) {
	const events: string[] = [];
	let current = locked;
	for (const report of reports) {
		const applied = apply(current, report);
		current = applied.locked;
		events.push(...applied.events);
	}
	return { locked: current, events };
}

/** States of one payment at the provider, in the order in which they occur. */
const HISTORY: readonly ProviderRecord[] = [
	{ result: { status: "requires_action", client_secret: "secret" }, transactions: [] },
	{ result: { status: "processing", reference: "pi_1" }, transactions: [] },
	{ result: { ...captured, reference: "pi_1" }, transactions: [] },
	{ result: captured, transactions: [entry("refund", "requested", "r", 4)] },
	{
		result: captured,
		transactions: [entry("refund", "requested", "r", 4), entry("refund", "succeeded", "r", 4)],
	},
	{
		result: captured,
		transactions: [
			entry("refund", "requested", "r", 4),
			entry("refund", "succeeded", "r", 4),
			entry("refund_failed", "succeeded", "r", 4),
			entry("dispute", "succeeded", "d", 10),
		],
	},
];

test("reports in any order lead to the same state if the last one arrives", () => {
	const last = HISTORY.at(-1)!;
	const direct = apply(open, last);
	const deliveries = fc
		.array(fc.constantFrom(...HISTORY), { maxLength: 10 })
		.chain((some) => fc.shuffledSubarray([...some, last], { minLength: some.length + 1 }));
	fc.assert(
		fc.property(deliveries, (reports) => {
			const { locked, events } = applyAll(open, reports);
			const { reference: _, ...row } = locked.payment;
			const { reference: __, ...expected } = direct.locked.payment;
			expect(row).toEqual(expected);
			const keys = (one: LockedPayment) =>
				[...ledgerOf(one).keys()].filter((key) => !key.includes("requested")).sort();
			expect(keys(locked)).toEqual(keys(direct.locked));
			for (const type of ["captured", "refunded", "refund_failed", "disputed"])
				expect(events.filter((event) => event === `payment.${type}`)).toHaveLength(1);
		}),
		{ seed: 20_260_101, numRuns: 1000 },
	);
});

test("a repeated report changes nothing", () => {
	for (const report of HISTORY) {
		const { locked } = apply(open, report);
		expect(planUpdate(locked, report, eventData as never, at)).toBeUndefined();
	}
});

test("money that is captured during or after a reversal is paid out once", () => {
	for (const reversal of ["begun", "done"] as const) {
		const { locked, events } = applyAll(reverse(open, reversal), [
			{ result: captured },
			{ result: captured },
			{ transactions: [entry("refund_failed", "succeeded", "p", 10)] },
			{ result: captured },
		]);
		expect(locked.refunds).toMatchObject([{ id: "p", amount: 10 }]);
		expect(events).toEqual(["payment.captured", "payment.updated", "payment.refund_failed"]);
	}
});

test("a payout of an amount that was refunded otherwise is repeated with the rest", () => {
	const { locked } = applyAll(reverse(open, "done"), [
		{ result: captured },
		{ transactions: [entry("refund", "succeeded", "re_1", 3)] },
		{ transactions: [entry("refund_failed", "succeeded", "p", 10)] },
	]);
	expect(locked.refunds.map(({ amount }) => amount)).toEqual([10, 7]);
	expect(locked.payment).toMatchObject({ status: "refunded", refunded_amount: 10 });
});

test.each(["reversed", "The payment arrived after the order was cancelled"])(
	"pays out the rest after a refund with the reason of a payout, %p",
	(reason) => {
		const refund = { id: "r", amount: 4, reason };
		const refunded = reserve(apply(open, { result: captured }).locked, refund);
		const settled = { transactions: [entry("refund", "succeeded", "r", 4)] };
		const { locked } = applyAll(reverse(refunded), [{}, settled]);
		expect(locked.refunds).toMatchObject([
			{ id: "r", amount: 4 },
			{ id: "p", amount: 6, reason: "reversed" },
		]);
		expect(locked.payment).toMatchObject({ status: "refunded", refunded_amount: 10 });
		const { events } = planUpdate(refunded, settled, eventData as never, at)!;
		expect(events.map(({ event }) => Object.keys(JSON.parse(event)))).not.toContainEqual(
			expect.arrayContaining(["late"]),
		);
	},
);

test("pays out a disputed part of a reversed payment after the dispute was won", () => {
	const dispute = entry("dispute", "succeeded", "d", 4);
	const won = entry("dispute_reversed", "succeeded", "d", 4);
	const { locked } = applyAll(reverse(open), [
		{ result: captured, transactions: [dispute] },
		{ transactions: [dispute, won] },
		{ transactions: [dispute, won] },
	]);
	expect(locked.refunds.map(({ amount }) => amount)).toEqual([6, 4]);
	expect(new Set(locked.refunds.map(({ id }) => id)).size).toBe(2);
	expect(locked.payment).toMatchObject({ status: "refunded", refunded_amount: 10 });
});

test("leaves a refund that fails after a payout to an operator", () => {
	const refund = { id: "r", amount: 4, reason: null };
	const refunded = reserve(apply(open, { result: captured }).locked, refund);
	const { locked } = applyAll(reverse(refunded), [
		{},
		{ transactions: [entry("refund_failed", "succeeded", "r", 4)] },
		{},
	]);
	expect(locked.refunds.map(({ amount }) => amount)).toEqual([4, 6]);
	expect(locked.payment).toMatchObject({ status: "partially_refunded", refunded_amount: 6 });
});

test("publishes an operator's repetition of a failed payout of late money as late", () => {
	const { locked } = applyAll(reverse(open, "done"), [
		{ result: captured },
		{ transactions: [entry("refund_failed", "succeeded", "p", 10)] },
	]);
	const repeated = reserve(locked, { id: "r", amount: 10, reason: "Paid to another account" });
	const settled = { transactions: [entry("refund", "succeeded", "r", 10)] };
	const { events } = planUpdate(repeated, settled, eventData as never, at)!;
	expect(events.map(({ event }) => JSON.parse(event))).toMatchObject([
		{ type: "payment.refunded", amount: 10, late: true, user_id: "u" },
	]);
});

test("money that is captured after a decline or a void is paid out", () => {
	for (const result of [{ status: "declined", reason: "no" }, { status: "closed" }] as const) {
		const { locked } = applyAll(open, [{ result }, { result: captured }]);
		expect(locked.refunds).toMatchObject([{ id: "p", amount: 10 }]);
		expect(locked.payment).toMatchObject({ status: "refunded", refunded_amount: 10 });
	}
});

test("a tombstone records and pays out money without events", () => {
	const tombstone = {
		...payment,
		user_id: null,
		amount: 0,
		currency: "",
		status: "cancelled" as const,
		reversal: "begun" as const,
	};
	const result = { status: "captured", amount: 1.234 } as const;
	const { locked, events } = applyAll({ ...open, payment: tombstone }, [
		{ result },
		{ transactions: [entry("refund", "succeeded", "p", 1.234)] },
	]);
	expect(locked.refunds).toMatchObject([{ id: "p", amount: 1.234 }]);
	expect(locked.payment).toMatchObject({ status: "cancelled", refunded_amount: 0 });
	expect(events).toEqual([]);
});

test.each(["u", GUEST])("a tombstone publishes the refund of late money of %s", (buyer_id) => {
	const tombstone = {
		...payment,
		user_id: null,
		buyer_id,
		amount: 0,
		status: "cancelled" as const,
		reversal: "begun" as const,
	};
	const { events } = applyAll({ ...open, payment: tombstone }, [
		{ result: { status: "processing" } },
		{ result: captured },
		{ transactions: [entry("refund", "succeeded", "p", 10)] },
	]);
	expect(events).toEqual(["payment.refunded"]);
});

test("a reservation reduces the refundable amount, and its failure restores it", () => {
	const { locked } = apply(open, { result: captured });
	const reserved = reserve(locked, { id: "r", amount: 10, reason: null });
	expect(reserved.payment).toMatchObject({ status: "refunded", refunded_amount: 10 });
	const { locked: failed } = applyAll(reserved, [
		{ transactions: [entry("refund", "requested", "r", 10)] },
		{ transactions: [entry("refund_failed", "succeeded", "r", 10)] },
	]);
	expect(failed.payment).toMatchObject({ status: "captured", refunded_amount: 0 });
});
