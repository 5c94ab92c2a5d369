import { behaviorOf } from "./cards.ts";
import {
	applyAttempt,
	attemptWith,
	confirmIntent,
	disputeCharge,
	methodToConfirm,
} from "./confirm-intent.ts";
import { closeDispute } from "./disputes.ts";
import type { Dump, RequestRecord } from "./dump.ts";
import { ApiError } from "./errors.ts";
import type { FaultPlans, Faults, PlannedFault } from "./faults.ts";
import type { Form } from "./form.ts";
import type { Dispute, PaymentIntent, Refund } from "./objects.ts";
import { authenticate, settle } from "./payment-attempts.ts";
import { resolveRefund } from "./refunds.ts";
import type { State } from "./state.ts";
import { ordersChargedTwice, violationsOfMovements } from "./violations.ts";
import type { WebhookEndpoint } from "./webhook-endpoint.ts";
import type { WebhookSender } from "./webhooks.ts";

type Outcome = "succeeded" | "failed";

/** Parts of a running stand-in that the controls change. */
export interface ControlTargets {
	readonly state: State;
	readonly faults: FaultPlans;
	readonly webhooks: WebhookSender;
	readonly requests: RequestRecord[];
	readonly gate: { pause(): void; resume(): void };
	readonly baseUrl: () => string;
	/** Name of the metadata field that identifies an order. */
	readonly orderKey: string;
	/** Whether every connection is reset and every webhook waits. */
	setOffline(offline: boolean): void;
	/** Discards the stored idempotency keys. */
	clearKeys(): void;
}

/**
 * Actions of payers, banks, Stripe and the network. They are asynchronous because `connectStripe`
 * provides the same functions over HTTP.
 */
export function createControls(targets: ControlTargets) {
	const { state, faults, webhooks, requests, gate } = targets;
	const intentWithMethod = (id: string) => {
		const intent = state.intent(id);
		const method = state.methods.get(intent.payment_method ?? "");
		if (!method) throw new Error(`${id} has status ${intent.status} and no payment method`);
		return { intent, method };
	};

	return {
		/** The payer enters a payment method in the browser. A declined card is no error. */
		async pay(id: string, method = "pm_card_visa", returnUrl?: string): Promise<PaymentIntent> {
			const intent = state.intent(id);
			const form: Form = {
				payment_method: method,
				...(returnUrl ? { return_url: returnUrl } : { use_stripe_sdk: "true" }),
			};
			const paid = methodToConfirm(state, form, intent);
			try {
				return confirmIntent(state, { form, baseUrl: targets.baseUrl() }, intent, paid);
			} catch (error) {
				if (error instanceof ApiError && error.status === 402) return state.intent(id);
				throw error;
			}
		},
		/** The payer authenticates, or fails to. Requires an intent with status `requires_action`. */
		async authenticate(id: string, outcome: Outcome = "succeeded"): Promise<PaymentIntent> {
			const { intent, method } = intentWithMethod(id);
			const change = authenticate(intent, attemptWith(state, method), outcome === "succeeded");
			applyAttempt(state, change);
			return change.intent;
		},
		/** The bank settles a debit. Requires an intent with status `processing`. */
		async settle(id: string, outcome: Outcome = "succeeded"): Promise<PaymentIntent> {
			const { intent, method } = intentWithMethod(id);
			const failure = outcome === "failed" ? behaviorOf(method.token)!.failure : undefined;
			const change = settle(intent, state.chargeOf(intent)!, method, failure);
			state.apply(change);
			return change.intent;
		},
		/** Status of the refunds that are created from now on. */
		async startRefundsAs(status: "pending" | "succeeded"): Promise<void> {
			state.refundsStartAs = status;
		},
		/** Result of a pending refund, or the failure of a successful one. */
		async resolveRefund(id: string, status: Outcome | "canceled"): Promise<Refund> {
			const { refund, events } = resolveRefund(state.find(state.refunds, "refund", id), status);
			state.applyRefund(refund, events);
			return refund;
		},
		/** The payer disputes a charge, given by its id or its intent's. */
		async openDispute(
			id: string,
			{ amount, reason = "fraudulent" }: { amount?: number; reason?: string } = {},
		): Promise<Dispute> {
			const charge = id.startsWith("pi_") ? (state.intent(id).latest_charge ?? "") : id;
			return disputeCharge(state, charge, reason, amount);
		},
		async closeDispute(id: string, status: "won" | "lost"): Promise<Dispute> {
			const closed = closeDispute(state.find(state.disputes, "dispute", id), status);
			state.disputes.set(id, closed.dispute);
			for (const type of closed.events) state.publish(type, closed.dispute);
			return closed.dispute;
		},
		/** Advances the clock: authorizations, idempotency keys and the search delay end. */
		async advance(seconds: number): Promise<void> {
			state.advance(seconds);
		},
		async setFaults(next: Faults): Promise<void> {
			faults.set(next);
		},
		/** Causes a fault of the next requests, regardless of the probabilities. */
		async failNext(planned: PlannedFault): Promise<void> {
			faults.plan(planned);
		},
		/** Requests wait for `resumeRequests` before they take effect. */
		async pauseRequests(): Promise<void> {
			gate.pause();
		},
		async resumeRequests(): Promise<void> {
			gate.resume();
		},
		async addWebhookEndpoint(endpoint: WebhookEndpoint): Promise<void> {
			webhooks.add(endpoint);
		},
		async pauseWebhooks(): Promise<void> {
			webhooks.pause(true);
		},
		async resumeWebhooks(): Promise<void> {
			webhooks.pause(false);
		},
		/** Sends an event again, for example as a late duplicate. */
		async redeliver(eventId: string): Promise<void> {
			const event = state.events.find(({ id }) => id === eventId);
			if (!event) throw new Error(`No such event: ${eventId}`);
			webhooks.redeliver(event);
		},
		/** Waits until no webhook is pending. Does not settle while webhooks are paused. */
		webhooksDelivered: (): Promise<void> => webhooks.idle(),
		/** Resets every connection to the API and holds all webhooks, until `goOnline`. */
		async goOffline(): Promise<void> {
			targets.setOffline(true);
		},
		async goOnline(): Promise<void> {
			targets.setOffline(false);
		},
		/** Discards all objects, keys, planned faults and pending webhooks. The clock continues. */
		async reset(): Promise<void> {
			state.clear();
			faults.clear();
			webhooks.clear();
			requests.length = 0;
			targets.clearKeys();
		},
		async dump(): Promise<Dump> {
			return structuredClone({
				now: state.now(),
				paymentIntents: [...state.intents.values()],
				charges: [...state.charges.values()],
				refunds: [...state.refunds.values()],
				disputes: [...state.disputes.values()],
				events: state.events,
				deliveries: webhooks.attempts,
				requests,
				violations: [
					...state.violations,
					...violationsOfMovements(state.movements),
					...ordersChargedTwice(state.intents.values(), state.refunds.values(), targets.orderKey),
				],
			});
		},
	};
}
export type Controls = ReturnType<typeof createControls>;
