import { describe, expect, test } from "@jest/globals";
import fc from "fast-check";
import { behaviorOf } from "./cards.ts";
import type { Charge, IntentStatus, PaymentIntent, PaymentMethod } from "./objects.ts";
import { type Attempt, authenticate, confirm, settle } from "./payment-attempts.ts";
import { newIntent } from "./payment-intent-params.ts";
import { type Change, cancel, capture, expire } from "./payment-intents.ts";
import { createState } from "./state.ts";

const DAY = 86_400;
const state = createState({
	apiVersion: "2026-10-28.endive",
	authorizationSeconds: 7 * DAY,
	searchDelaySeconds: 0,
	publish: () => undefined,
	endpointsFor: () => 0,
});
const created = (capture_method = "automatic"): PaymentIntent =>
	newIntent(state, {
		amount: "1000",
		currency: "eur",
		capture_method,
	});
const method = (token: string): PaymentMethod => ({
	id: "pm_1",
	object: "payment_method",
	created: 0,
	livemode: false,
	type: behaviorOf(token)!.type,
	token,
});
const attempt = (token: string): Attempt => ({
	method: method(token),
	behavior: behaviorOf(token)!,
	now: 1000,
	chargeId: "ch_1",
	authorizationSeconds: 7 * DAY,
});
const confirmWith = (intent: PaymentIntent, token: string): Change =>
	confirm(intent, { ...attempt(token), redirectUrl: "http://127.0.0.1/redirect" });
const authorized = () => confirmWith(created("manual"), "pm_card_visa");

describe("confirm", () => {
	test("captures at once by default", () => {
		const { intent, charge, events } = confirmWith(created(), "pm_card_visa");
		expect(intent).toMatchObject({ status: "succeeded", amount_received: 1000 });
		expect(charge).toMatchObject({ captured: true, amount_captured: 1000, status: "succeeded" });
		expect(events).toEqual(["charge.succeeded", "payment_intent.succeeded"]);
	});

	test("authorizes for seven days with manual capture", () => {
		const { intent, charge, events } = authorized();
		expect(intent).toMatchObject({
			status: "requires_capture",
			amount_capturable: 1000,
			amount_received: 0,
		});
		expect(charge!.captured).toBe(false);
		expect(charge!.payment_method_details!.card!.capture_before).toBe(1000 + 7 * DAY);
		expect(events).toEqual(["charge.succeeded", "payment_intent.amount_capturable_updated"]);
	});

	test("returns to requires_payment_method after a decline", () => {
		const { intent, charge, events, failure } = confirmWith(
			created(),
			"pm_card_chargeDeclinedInsufficientFunds",
		);
		expect(failure).toMatchObject({ code: "card_declined", declineCode: "insufficient_funds" });
		expect(intent).toMatchObject({
			status: "requires_payment_method",
			payment_method: null,
			latest_charge: "ch_1",
			last_payment_error: { code: "card_declined", decline_code: "insufficient_funds" },
		});
		expect(charge).toMatchObject({ status: "failed", paid: false, amount_captured: 0 });
		expect(events).toEqual(["charge.failed", "payment_intent.payment_failed"]);
	});

	test("clears the error of an earlier attempt", () => {
		const { intent } = confirmWith(created(), "pm_card_chargeDeclined");
		expect(confirmWith(intent, "pm_card_visa").intent).toMatchObject({
			status: "succeeded",
			last_payment_error: null,
		});
	});

	test("declines an absent payer whose card requires authentication", () => {
		const { failure } = confirm(created(), {
			...attempt("pm_card_authenticationRequired"),
			redirectUrl: "http://127.0.0.1/",
			offSession: true,
		});
		expect(failure!.code).toBe("authentication_required");
	});
});

describe("authenticate", () => {
	test.each(["pm_card_threeDSecure2Required", "pm_ideal"])(
		"completes a payment with %s",
		(token) => {
			const { intent, charge } = confirmWith(created(), token);
			expect(intent).toMatchObject({
				status: "requires_action",
				next_action: { type: "use_stripe_sdk" },
			});
			expect(charge).toBeUndefined();
			expect(authenticate(intent, attempt(token), true).intent).toMatchObject({
				status: "succeeded",
				next_action: null,
			});
		},
	);

	test("requires another method after a failure, without a charge", () => {
		const { intent } = confirmWith(created(), "pm_card_authenticationRequired");
		const failed = authenticate(intent, attempt("pm_card_authenticationRequired"), false);
		expect(failed.charge).toBeUndefined();
		expect(failed.intent).toMatchObject({
			status: "requires_payment_method",
			last_payment_error: { code: "payment_intent_authentication_failure" },
		});
	});
});

describe("settle", () => {
	const debited = () => confirmWith(created(), "pm_sepaDebit");

	test("leaves a debit in processing until the bank responds", () => {
		const { intent, charge, events } = debited();
		expect(intent).toMatchObject({ status: "processing", amount_received: 0 });
		expect(charge!.status).toBe("pending");
		expect(events).toEqual(["charge.pending", "payment_intent.processing"]);
		expect(settle(intent, charge!, method("pm_sepaDebit")).intent).toMatchObject({
			status: "succeeded",
			amount_received: 1000,
		});
	});

	test("returns a failed debit to requires_payment_method", () => {
		const { intent, charge } = debited();
		const { failure } = behaviorOf("pm_sepaDebit")!;
		const failed = settle(intent, charge!, method("pm_sepaDebit"), failure);
		expect(failed.intent.status).toBe("requires_payment_method");
		expect(failed.charge).toMatchObject({ status: "failed", amount_captured: 0, captured: false });
	});
});

describe("capture, cancel and expire", () => {
	test("a partial capture releases the rest", () => {
		const { intent, charge } = authorized();
		const captured = capture(intent, charge!, 600);
		expect(captured.intent).toMatchObject({
			status: "succeeded",
			amount_received: 600,
			amount_capturable: 0,
		});
		expect(captured.charge).toMatchObject({
			captured: true,
			amount_captured: 600,
			amount_refunded: 400,
			refunded: false,
		});
		expect(captured.events).toContain("charge.refunded");
	});

	test("a capture over the authorization is rejected", () => {
		const { intent, charge } = authorized();
		expect(() => capture(intent, charge!, 1001)).toThrow(
			expect.objectContaining({ body: expect.objectContaining({ code: "amount_too_large" }) }),
		);
	});

	test("a cancellation releases the authorization", () => {
		const { intent, charge } = authorized();
		const canceled = cancel(intent, charge, "abandoned", 2000);
		expect(canceled.intent).toMatchObject({
			status: "canceled",
			cancellation_reason: "abandoned",
			canceled_at: 2000,
			amount_capturable: 0,
		});
		expect(canceled.charge).toMatchObject({ refunded: true, amount_captured: 0 });
	});

	test("an authorization ends at capture_before", () => {
		const { intent, charge } = authorized();
		expect(expire(intent, charge, 999 + 7 * DAY)).toBeUndefined();
		const expired = expire(intent, charge, 1000 + 7 * DAY)!;
		expect(expired.intent).toMatchObject({ status: "canceled", cancellation_reason: "automatic" });
		expect(expired.events).toEqual(["charge.expired", "payment_intent.canceled"]);
	});
});

const STATUSES: readonly IntentStatus[] = [
	"requires_payment_method",
	"requires_confirmation",
	"requires_action",
	"processing",
	"requires_capture",
	"succeeded",
	"canceled",
];
const TRANSITIONS: Readonly<Record<string, (intent: PaymentIntent, charge: Charge) => unknown>> = {
	confirm: (intent) => confirmWith(intent, "pm_card_visa"),
	authenticate: (intent) => authenticate(intent, attempt("pm_card_visa"), true),
	settle: (intent, charge) => settle(intent, charge, method("pm_sepaDebit")),
	capture: (intent, charge) => capture(intent, charge, 1000),
	cancel: (intent, charge) => cancel(intent, charge, null, 2000),
};
const LEGAL: Readonly<Record<string, readonly IntentStatus[]>> = {
	confirm: ["requires_payment_method", "requires_confirmation", "requires_action"],
	authenticate: ["requires_action"],
	settle: ["processing"],
	capture: ["requires_capture"],
	cancel: [
		"requires_payment_method",
		"requires_confirmation",
		"requires_action",
		"requires_capture",
	],
};
const illegal = Object.keys(TRANSITIONS).flatMap((name) =>
	STATUSES.filter((status) => !LEGAL[name]!.includes(status)).map(
		(status) => [name, status] as const,
	),
);

describe("transitions", () => {
	test.each(illegal)("%s is rejected in status %s", (name, status) => {
		const { charge } = authorized();
		const intent = { ...created(), status, amount_capturable: 1000 };
		expect(() => TRANSITIONS[name]!(intent, charge!)).toThrow(
			expect.objectContaining({
				status: 400,
				body: expect.objectContaining({
					code: "payment_intent_unexpected_state",
					payment_intent: intent,
				}),
			}),
		);
	});

	test("no sequence of transitions receives more than the amount, or receives twice", () => {
		const tokens = ["pm_card_visa", "pm_card_chargeDeclined", "pm_card_authenticationRequired"];
		const steps = fc.array(
			fc.record({
				name: fc.constantFrom(...Object.keys(TRANSITIONS)),
				token: fc.constantFrom(...tokens),
				success: fc.boolean(),
				amount: fc.integer({ min: 1, max: 1100 }),
			}),
			{ maxLength: 12 },
		);
		fc.assert(
			fc.property(fc.constantFrom("automatic", "manual"), steps, (captureMethod, all) => {
				let current: Pick<Change, "intent" | "charge"> = { intent: created(captureMethod) };
				let received = 0;
				for (const step of all) {
					const { intent, charge } = current;
					let change: Change;
					try {
						change = apply(step, intent, charge);
					} catch {
						continue; // Rejected steps change nothing.
					}
					if (change.intent.status === "succeeded") received += change.intent.amount_received;
					current = { intent: change.intent, charge: change.charge ?? charge };
					expect(received).toBeLessThanOrEqual(1000);
					expect(change.intent.amount_received).toBe(received);
					if (change.intent.status !== "requires_capture")
						expect(change.intent.amount_capturable).toBe(0);
				}
			}),
		);
	});

	function apply(
		step: { name: string; token: string; success: boolean; amount: number },
		intent: PaymentIntent,
		charge: Charge | undefined,
	): Change {
		if (step.name === "confirm") return confirmWith(intent, step.token);
		if (step.name === "authenticate")
			return authenticate(intent, attempt("pm_card_visa"), step.success);
		if (step.name === "settle") return settle(intent, charge!, method("pm_sepaDebit"));
		if (step.name === "capture") return capture(intent, charge!, step.amount);
		return cancel(intent, charge, null, 2000);
	}
});
