import { describe, expect, test } from "@jest/globals";
import type Stripe from "stripe";
import { recordOf, resultOf } from "./record.ts";

const OPEN = { decline_reason: null, decline_code: null };
const DECLINED = { decline_reason: "Your card was declined.", decline_code: "lost_card" };
const CREATED = 1_790_000_000;
const AT = new Date(CREATED * 1000).toISOString();
const CANCELED_AT = new Date((CREATED + 60) * 1000).toISOString();

const intentWith = (fields: object): Stripe.PaymentIntent =>
	({
		id: "pi_1",
		amount: 1000,
		amount_received: 0,
		client_secret: "pi_1_secret_1",
		created: CREATED,
		currency: "eur",
		latest_charge: null,
		next_action: null,
		canceled_at: CREATED + 60,
		...fields,
	}) as unknown as Stripe.PaymentIntent;
const charge = {
	status: "succeeded",
	created: CREATED,
	payment_method_details: { type: "card" },
};
const refundWith = (fields: object): Stripe.Refund =>
	({
		id: "re_1",
		amount: 400,
		currency: "eur",
		created: CREATED,
		metadata: { refund_id: "refund" },
		...fields,
	}) as unknown as Stripe.Refund;
const disputeWith = (status: string, fields: object = {}): Stripe.Dispute =>
	({
		id: "du_1",
		amount: 1000,
		balance_transactions: [],
		created: CREATED,
		currency: "eur",
		reason: "fraudulent",
		status,
		...fields,
	}) as unknown as Stripe.Dispute;

const paid = intentWith({
	status: "succeeded",
	amount_received: 600,
	latest_charge: charge,
	payment_method_options: { card: { capture_method: "manual" } },
});
const record = (
	intent: Stripe.PaymentIntent,
	{ refunds = [] as Stripe.Refund[], disputes = [] as Stripe.Dispute[], row = OPEN as object } = {},
) => recordOf(row as typeof OPEN, { intent, refunds, disputes });

describe("the result of a PaymentIntent", () => {
	test.each([
		["requires_payment_method", OPEN, null],
		["requires_confirmation", OPEN, null],
		["processing", OPEN, { status: "processing" }],
		["requires_capture", OPEN, { status: "authorized" }],
		["succeeded", OPEN, { status: "captured", amount: 0 }],
		["canceled", OPEN, { status: "closed" }],
		[
			"canceled",
			DECLINED,
			{ status: "declined", reason: "Your card was declined.", code: "lost_card" },
		],
	])("with status %s depends on its row %j", (status, row, expected) => {
		const result = resultOf(row, intentWith({ status }));
		expect(result).toEqual(expected && { reference: "pi_1", ...expected });
	});

	test.each([
		[null, {}],
		[{ redirect_to_url: { url: "https://bank" } }, { redirect_url: "https://bank" }],
		[
			{ verify_with_microdeposits: { hosted_verification_url: "https://verify" } },
			{ redirect_url: "https://verify" },
		],
	])("that requires the action %j contains the buyer's page", (next_action, expected) => {
		const intent = intentWith({ status: "requires_action", next_action });
		const common = { reference: "pi_1", status: "requires_action", client_secret: "pi_1_secret_1" };
		expect(resultOf(OPEN, intent)).toEqual({ ...common, ...expected });
	});
});

describe("the transactions of a payment", () => {
	test("of a card are an authorization and the captured part", () => {
		const common = { state: "succeeded", reference: "pi_1", at: AT };
		expect(record(paid)!.transactions).toEqual([
			{ ...common, type: "authorization", amount: 10 },
			{ ...common, type: "capture", amount: 6 },
		]);
	});

	test("without a manual capture have no authorization", () => {
		const debit = {
			status: "succeeded",
			created: CREATED,
			payment_method_details: { type: "sepa_debit" },
		};
		const intent = intentWith({ status: "succeeded", amount_received: 1000, latest_charge: debit });
		expect(record(intent)!.transactions).toMatchObject([{ type: "capture", amount: 10 }]);
	});

	test("of a canceled intent are a void, or a failed capture with its reason", () => {
		const canceled = intentWith({ status: "canceled" });
		expect(record(canceled)!.transactions).toMatchObject([
			{ type: "void", state: "succeeded", at: CANCELED_AT },
		]);
		expect(record(canceled, { row: DECLINED })!.transactions).toMatchObject([
			{ type: "capture", state: "failed", reason: "Your card was declined." },
		]);
	});

	test.each([
		["pending", ["refund requested"]],
		["requires_action", ["refund requested"]],
		["succeeded", ["refund requested", "refund succeeded"]],
		["failed", ["refund requested", "refund_failed succeeded"]],
		["canceled", ["refund requested", "refund_failed succeeded"]],
	])("of a refund with status %s", (status, expected) => {
		const own = record(paid, { refunds: [refundWith({ status })] })!.transactions.slice(2);
		expect(own.map(({ type, state }) => `${type} ${state}`)).toEqual(expected);
		for (const one of own) expect(one).toMatchObject({ reference: "refund", amount: 4, at: AT });
	});

	test("of a refund without our metadata have Stripe's ID as their reference", () => {
		const refunds = [refundWith({ status: "succeeded", metadata: null })];
		expect(record(paid, { refunds })!.transactions.at(-1)).toMatchObject({ reference: "re_1" });
	});

	test.each([
		["warning_needs_response", []],
		["warning_closed", []],
		["prevented", []],
		["needs_response", ["dispute"]],
		["under_review", ["dispute"]],
		["lost", ["dispute"]],
		["won", ["dispute", "dispute_reversed"]],
	])("of a dispute with status %s", (status, expected) => {
		const own = record(paid, { disputes: [disputeWith(status)] })!.transactions.slice(2);
		expect(own.map(({ type }) => type)).toEqual(expected);
		for (const one of own) expect(one).toMatchObject({ reference: "du_1", amount: 10 });
	});

	test("of a won dispute have the time at which the money returned", () => {
		const balance_transactions = [{ created: CREATED }, { created: CREATED + 60 }];
		const disputes = [disputeWith("won", { balance_transactions })];
		expect(record(paid, { disputes })!.transactions.at(-1)).toMatchObject({ at: CANCELED_AT });
	});

	test("do not exist before the confirmation", () => {
		expect(record(intentWith({ status: "requires_confirmation" }))).toBeNull();
	});
});
