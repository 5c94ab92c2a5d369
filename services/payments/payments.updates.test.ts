import { expect, test } from "@jest/globals";
import fc from "fast-check";
import { GUEST } from "./payments.rules.ts";
import {
	type LockedPayment,
	ledgerOf,
	planReservation,
	planUpdate,
	type StoredPayment,
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
	const { payment, transactions, refund, events } = update;
	const row = refund && {
		...refund,
		created_at: at,
		settled_at: null,
		failed_at: null,
		failure_reason: null,
	};
	const next: LockedPayment = {
		payment,
		stored: transactions,
		refunds: row ? [...locked.refunds, row] : locked.refunds,
	};
	return { locked: next, events: events.map(({ type }) => type) };
}
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
		const reversed = { ...open, payment: { ...payment, reversal } };
		const { locked, events } = applyAll(reversed, [
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
	const reversed = { ...open, payment: { ...payment, reversal: "done" as const } };
	const { locked } = applyAll(reversed, [
		{ result: captured },
		{ transactions: [entry("refund", "succeeded", "re_1", 3)] },
		{ transactions: [entry("refund_failed", "succeeded", "p", 10)] },
	]);
	expect(locked.refunds.map(({ amount }) => amount)).toEqual([10, 7]);
	expect(locked.payment).toMatchObject({ status: "refunded", refunded_amount: 10 });
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
	const { payment: reserved } = planReservation(locked, { id: "r", amount: 10, reason: null }, at);
	expect(reserved).toMatchObject({ status: "refunded", refunded_amount: 10 });
	const { locked: failed } = applyAll({ ...locked, payment: reserved }, [
		{ transactions: [entry("refund", "requested", "r", 10)] },
		{ transactions: [entry("refund_failed", "succeeded", "r", 10)] },
	]);
	expect(failed.payment).toMatchObject({ status: "captured", refunded_amount: 0 });
});
