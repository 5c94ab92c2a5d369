import { refundedSum } from "./charges.ts";
import type { PaymentIntent, Refund } from "./objects.ts";

/** Request that a correct client never sends. */
export interface Violation {
	readonly kind:
		| "capture_over_authorization"
		| "repeated_capture"
		| "refund_over_captured"
		| "order_charged_twice";
	readonly paymentIntents: readonly string[];
	/** Whether the API rejected the request, so that no money moved. */
	readonly rejected: boolean;
	readonly message: string;
}

/** Record of money that moved, which is independent of the state machines. */
export interface Movement {
	readonly kind: "capture" | "refund" | "refund_failed";
	readonly paymentIntent: string;
	/** Minor units. */
	readonly amount: number;
	/** Minor units. Amount that the payer authorized. */
	readonly authorized: number;
}

/** Violations among the movements, by intent. The API rejects them, so one is a defect here. */
export function violationsOfMovements(movements: readonly Movement[]): Violation[] {
	const byIntent = Map.groupBy(movements, ({ paymentIntent }) => paymentIntent);
	return [...byIntent].flatMap(([id, moved]): Violation[] => {
		const captures = moved.filter(({ kind }) => kind === "capture");
		const sum = (kind: Movement["kind"]) =>
			moved.reduce((total, one) => total + (one.kind === kind ? one.amount : 0), 0);
		const refunded = sum("refund") - sum("refund_failed");
		const found = (kind: Violation["kind"], message: string): Violation => ({
			kind,
			paymentIntents: [id],
			rejected: false,
			message,
		});
		return [
			...(captures.length > 1
				? [found("repeated_capture", `captured ${captures.length} times`)]
				: []),
			...(captures.some(({ amount, authorized }) => amount > authorized)
				? [found("capture_over_authorization", `captured ${sum("capture")}`)]
				: []),
			...(refunded > sum("capture")
				? [found("refund_over_captured", `refunded ${refunded} of ${sum("capture")}`)]
				: []),
		];
	});
}

/**
 * Orders that paid more than once: several intents with the same order id in their metadata keep
 * money. Only meaningful when the client has no unfinished work.
 */
export function ordersChargedTwice(
	intents: Iterable<PaymentIntent>,
	refunds: Iterable<Refund>,
	metadataKey: string,
): Violation[] {
	const refundsOf = Map.groupBy(refunds, ({ payment_intent }) => payment_intent);
	const keeping = [...intents].filter(
		({ id, metadata, amount_received }) =>
			metadata[metadataKey] !== undefined && amount_received > refundedSum(refundsOf.get(id) ?? []),
	);
	return [...Map.groupBy(keeping, ({ metadata }) => metadata[metadataKey]!)]
		.filter(([, paid]) => paid.length > 1)
		.map(([order, paid]) => ({
			kind: "order_charged_twice",
			paymentIntents: paid.map(({ id }) => id),
			rejected: false,
			message: `${metadataKey} ${order} is paid by ${paid.length} intents`,
		}));
}
