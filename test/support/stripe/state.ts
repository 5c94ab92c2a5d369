import { randomBytes } from "node:crypto";
import type { Behavior } from "./cards.ts";
import { behaviorOf } from "./cards.ts";
import { withRefunds } from "./charges.ts";
import { resourceMissing } from "./errors.ts";
import type {
	Charge,
	Dispute,
	EventType,
	PaymentIntent,
	PaymentMethod,
	Refund,
	StripeEvent,
	StripeObject,
} from "./objects.ts";
import { type Change, expire } from "./payment-intents.ts";
import type { Movement, Violation } from "./violations.ts";

/** Request whose execution causes events. */
interface Origin {
	readonly id: string;
	readonly idempotency_key: string | null;
}
export interface StateOptions {
	/** Version in which events are sent. */
	readonly apiVersion: string;
	/** Period until an authorization expires, in seconds. */
	readonly authorizationSeconds: number;
	/** Time until search finds a new intent, in seconds. */
	readonly searchDelaySeconds: number;
	/** Sends an event to the webhook endpoints. */
	readonly publish: (event: StripeEvent) => void;
	/** Number of webhook endpoints for an event type. */
	readonly endpointsFor: (type: string) => number;
}

/** All objects, the clock, and the changes that the routes and the test controls share. */
export function createState(options: StateOptions) {
	let offsetMs = 0;
	const state = {
		options,
		intents: new Map<string, PaymentIntent>(),
		charges: new Map<string, Charge>(),
		refunds: new Map<string, Refund>(),
		disputes: new Map<string, Dispute>(),
		methods: new Map<string, PaymentMethod>(),
		events: [] as StripeEvent[],
		movements: [] as Movement[],
		violations: [] as Violation[],
		origin: null as Origin | null,
		/** Status of new refunds. */
		refundsStartAs: "succeeded" as "pending" | "succeeded",

		/** Milliseconds since 1970 on the stand-in's clock. */
		nowMs: () => Date.now() + offsetMs,
		/** Seconds since 1970 on the stand-in's clock. */
		now: () => Math.floor(state.nowMs() / 1000),
		/** A random id, which never repeats, also with an equal seed. */
		newId: (prefix: string) => `${prefix}_3${randomBytes(12).toString("hex")}`,

		advance(seconds: number): void {
			offsetMs += seconds * 1000;
			state.expireAuthorizations();
		},
		expireAuthorizations(): void {
			for (const intent of state.intents.values()) {
				const change = expire(intent, state.chargeOf(intent), state.now());
				if (change) state.apply(change);
			}
		},
		clear(): void {
			for (const map of [state.intents, state.charges, state.refunds, state.disputes]) map.clear();
			state.methods.clear();
			state.refundsStartAs = "succeeded";
			for (const list of [state.events, state.movements, state.violations]) list.length = 0;
		},

		/** @throws ApiError 404 */
		find<T>(map: Map<string, T>, kind: string, id: string, param = "id"): T {
			const object = map.get(id);
			if (!object) throw resourceMissing(kind, id, param);
			return object;
		},
		intent: (id: string, param = "intent") =>
			state.find(state.intents, "payment_intent", id, param),
		charge: (id: string, param = "charge") => state.find(state.charges, "charge", id, param),
		chargeOf: ({ latest_charge: id }: PaymentIntent) => (id ? state.charges.get(id) : undefined),
		refundsOf: (charge: Charge) =>
			[...state.refunds.values()].filter((one) => one.charge === charge.id),
		disputesOf: (charge: Charge) =>
			[...state.disputes.values()].filter((one) => one.charge === charge.id),
		behaviorOf: (methodId: string): Behavior | undefined => {
			const method = state.methods.get(methodId);
			return method && behaviorOf(method.token);
		},

		publish(type: EventType, object: StripeObject): void {
			const event: StripeEvent = {
				id: state.newId("evt"),
				object: "event",
				api_version: options.apiVersion,
				created: state.now(),
				data: { object },
				livemode: false,
				pending_webhooks: options.endpointsFor(type),
				request: state.origin,
				type,
			};
			state.events.push(event);
			options.publish(event);
		},
		/** Stores the result of a transition and publishes its events. */
		apply({ intent, charge, events }: Change): void {
			recordCapture(intent);
			state.intents.set(intent.id, intent);
			if (charge) state.charges.set(charge.id, charge);
			for (const type of events)
				state.publish(type, charge && type.startsWith("charge.") ? charge : intent);
		},
		/** Stores a refund, updates its charge and publishes the events. */
		applyRefund(refund: Refund, events: readonly EventType[]): void {
			recordRefund(refund);
			state.refunds.set(refund.id, refund);
			const before = state.charge(refund.charge);
			const charge = withRefunds(before, state.refundsOf(before));
			state.charges.set(charge.id, charge);
			for (const type of events)
				state.publish(type, type.startsWith("charge.refunded") ? charge : refund);
		},
		violation(kind: Violation["kind"], paymentIntent: string, message: string): void {
			state.violations.push({ kind, paymentIntents: [paymentIntent], rejected: true, message });
		},
	};

	function recordCapture({ id, amount, amount_received, status }: PaymentIntent): void {
		if (status !== "succeeded") return;
		state.movements.push({
			kind: "capture",
			paymentIntent: id,
			amount: amount_received,
			authorized: amount,
		});
	}
	function recordRefund({ id, amount, payment_intent, status }: Refund): void {
		const isNew = !state.refunds.has(id);
		if (!isNew && status === "succeeded") return;
		const kind = isNew ? "refund" : "refund_failed";
		state.movements.push({ kind, paymentIntent: payment_intent, amount, authorized: amount });
	}
	return state;
}
export type State = ReturnType<typeof createState>;
